-- Long texts, each once and packed: with zstd, as its difference from `base` where it begins as that text does.
CREATE TABLE texts (
    id     INTEGER PRIMARY KEY,
    hash   BLOB NOT NULL UNIQUE,
    base   INTEGER REFERENCES texts (id),
    packed BLOB NOT NULL
) STRICT;

-- The first text with each beginning, by a hash of the beginning.
CREATE TABLE beginnings (
    hash BLOB PRIMARY KEY,
    text INTEGER NOT NULL REFERENCES texts (id)
) STRICT, WITHOUT ROWID;

ALTER TABLE requests RENAME TO plain_requests;
CREATE TABLE requests (
    key      BLOB PRIMARY KEY,
    model    TEXT NOT NULL,
    revision TEXT NOT NULL,
    request  INTEGER NOT NULL REFERENCES texts (id)
) STRICT, WITHOUT ROWID;

-- A sample's text is in the one column or the other. A program of an earlier version that still runs must fail rather than
-- find empty texts: the column that it knows has another name.
ALTER TABLE samples RENAME COLUMN text TO short;
ALTER TABLE samples ADD COLUMN long INTEGER REFERENCES texts (id);
