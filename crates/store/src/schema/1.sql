-- What was asked, once per (request, model and revision): for looking at, and for whoever judges a sample's origin.
CREATE TABLE requests (
    key      BLOB PRIMARY KEY,
    model    TEXT NOT NULL,
    revision TEXT NOT NULL,
    request  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The bank. The primary key is what makes a sample drawn once.
CREATE TABLE samples (
    id               INTEGER PRIMARY KEY,
    key              BLOB    NOT NULL,
    stream           INTEGER NOT NULL,
    idx              INTEGER NOT NULL,
    text             TEXT    NOT NULL,
    finish           TEXT    NOT NULL,
    prompt_tokens    INTEGER NOT NULL,
    decode_tokens    INTEGER NOT NULL,
    latency_us       INTEGER NOT NULL,
    prompt_shared_by INTEGER NOT NULL,
    fingerprint      TEXT,
    UNIQUE (key, stream, idx)
) STRICT;

CREATE TABLE studies (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    pipeline    TEXT    NOT NULL,
    snapshot    TEXT    NOT NULL,
    settings    TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    stop_reason TEXT,
    started_ms  INTEGER NOT NULL,
    elapsed_ms  INTEGER NOT NULL DEFAULT 0,
    result      TEXT
) STRICT;

-- Amounts are exact integers. Those of FLOPs and dollars may pass 64 bits, so they are decimal text.
CREATE TABLE ledger (
    id            INTEGER PRIMARY KEY,
    study         INTEGER NOT NULL REFERENCES studies (id),
    kind          TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('open', 'settled', 'lost')),
    tokens        INTEGER NOT NULL,
    usd           TEXT    NOT NULL,
    flops         TEXT    NOT NULL,
    calls         INTEGER NOT NULL,
    prompt        INTEGER NOT NULL DEFAULT 0,
    cached_prompt INTEGER NOT NULL DEFAULT 0,
    decode        INTEGER NOT NULL DEFAULT 0,
    samples       INTEGER NOT NULL DEFAULT 0,
    error         TEXT
) STRICT;
CREATE INDEX ledger_open ON ledger (study) WHERE state = 'open';
CREATE INDEX ledger_study ON ledger (study);

CREATE TABLE trials (
    study  INTEGER NOT NULL REFERENCES studies (id),
    number INTEGER NOT NULL,
    trial  TEXT    NOT NULL,
    PRIMARY KEY (study, number)
) STRICT, WITHOUT ROWID;

-- What a trial did with each example: for drill-down and for pairing.
CREATE TABLE outcomes (
    study     INTEGER NOT NULL REFERENCES studies (id),
    trial     INTEGER NOT NULL,
    example   TEXT    NOT NULL,
    objective REAL    NOT NULL,
    outcome   TEXT    NOT NULL,
    PRIMARY KEY (study, trial, example)
) STRICT, WITHOUT ROWID;

CREATE TABLE guidelines (
    study     INTEGER NOT NULL REFERENCES studies (id),
    seq       INTEGER NOT NULL,
    guideline TEXT    NOT NULL,
    PRIMARY KEY (study, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE exchanges (
    study    INTEGER NOT NULL REFERENCES studies (id),
    seq      INTEGER NOT NULL,
    exchange TEXT    NOT NULL,
    PRIMARY KEY (study, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    study INTEGER NOT NULL REFERENCES studies (id),
    seq   INTEGER NOT NULL,
    ms    INTEGER NOT NULL,
    event TEXT    NOT NULL,
    PRIMARY KEY (study, seq)
) STRICT, WITHOUT ROWID;
