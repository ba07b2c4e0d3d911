-- Never change this file once it is released: add the next number instead.
-- One row per run, with its specs packed by column. The program converts the content of the tables
-- of version 1 (carryover.go) and then drops them.
ALTER TABLE results RENAME TO results_v1;
ALTER TABLE suites RENAME TO suites_v1;
ALTER TABLE specs RENAME TO specs_v1;
ALTER TABLE runs RENAME TO runs_v1;

CREATE TABLE runs (
    id             INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused, so that a link to a run stays valid
    digest         BLOB    NOT NULL UNIQUE,           -- equal for duplicate runs: see identity in append.go
    at             INTEGER NOT NULL,                  -- position in time, ns UTC: started, or just after the newest run if that is unknown
    started        INTEGER NOT NULL,                  -- ns UTC, 0: unknown
    seconds        REAL    NOT NULL,
    commit_id      TEXT    NOT NULL,
    dirty          INTEGER NOT NULL,
    branch         TEXT    NOT NULL,
    command        TEXT    NOT NULL,
    key            TEXT    NOT NULL,
    format         TEXT    NOT NULL,
    facts          TEXT    NOT NULL, -- JSON array of reports.Fact
    has_suites     INTEGER NOT NULL, -- 0: suites were not run, or see suite_error
    suite_error    TEXT    NOT NULL,
    outcome        TEXT    NOT NULL,
    exit_code      INTEGER NOT NULL,
    complete       INTEGER NOT NULL,
    passed         INTEGER NOT NULL, -- this and the following columns: counts, so that a trend need not unpack results
    failed         INTEGER NOT NULL,
    skipped        INTEGER NOT NULL,
    pending        INTEGER NOT NULL,
    retried        INTEGER NOT NULL,
    suite_failures INTEGER NOT NULL,
    sum            INTEGER NOT NULL  -- CRC-64 of all columns above except id
) STRICT;
CREATE INDEX runs_in_time ON runs (at, id);

-- The texts of a spec are long and the same in every run, so they are stored once.
CREATE TABLE names (
    id    INTEGER PRIMARY KEY,
    key   TEXT    NOT NULL UNIQUE, -- reports.Spec.Key: all texts in one
    texts TEXT    NOT NULL,        -- JSON array of suite, array of containers, leaf, occurrence
    sum   INTEGER NOT NULL
) STRICT;

-- Content that many runs share: messages and outputs, and the locations and labels of specs.
CREATE TABLE blobs (
    id     INTEGER PRIMARY KEY,
    digest BLOB    NOT NULL UNIQUE, -- first half of the SHA-256 of the content
    packed BLOB    NOT NULL
) STRICT;

CREATE TABLE results (
    run_id    INTEGER PRIMARY KEY REFERENCES runs (id),
    outcomes  BLOB    NOT NULL, -- see columns.go
    durations BLOB    NOT NULL,
    suites    BLOB    NOT NULL, -- JSON array of reports.Suite
    sum       INTEGER NOT NULL
) STRICT;

CREATE TABLE measurements (
    run_id      INTEGER PRIMARY KEY REFERENCES runs (id),
    comparisons BLOB    NOT NULL, -- JSON array of harness.Comparison
    verdicts    BLOB    NOT NULL, -- JSON array of thresholds.Verdict
    sum         INTEGER NOT NULL
) STRICT;
