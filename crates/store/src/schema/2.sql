-- Final tests: when a study opened its test examples to measure a plan. Rows are never changed or removed: what was opened
-- once stays opened for every later study. A margin of null was not noted.
CREATE TABLE tests (
    id        INTEGER PRIMARY KEY,
    study     INTEGER NOT NULL REFERENCES studies (id),
    plan      TEXT    NOT NULL,
    margin    REAL,
    opened_ms INTEGER NOT NULL,
    UNIQUE (study, plan)
) STRICT;

-- Which examples a test opened, by the digests of their content.
CREATE TABLE tested (
    example BLOB    NOT NULL,
    test    INTEGER NOT NULL REFERENCES tests (id),
    PRIMARY KEY (example, test)
) STRICT, WITHOUT ROWID;
