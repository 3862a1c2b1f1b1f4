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

-- A sample's text where it is long; its column `text` is empty then.
ALTER TABLE samples ADD COLUMN long INTEGER REFERENCES texts (id);
