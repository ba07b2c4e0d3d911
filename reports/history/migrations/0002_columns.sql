-- Never change this file once it is released: add the next number instead.
-- One row a run, its specs packed by column. What the tables of version 1 hold is
-- carried over by the program (carryover.go), which then drops them.
ALTER TABLE results RENAME TO results_v1;
ALTER TABLE suites RENAME TO suites_v1;
ALTER TABLE specs RENAME TO specs_v1;
ALTER TABLE runs RENAME TO runs_v1;

CREATE TABLE runs (
    id             INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice, so that a link to a run stays true
    digest         BLOB    NOT NULL UNIQUE,           -- what makes two runs the same: reports.identity
    at             INTEGER NOT NULL,                  -- place in time, ns UTC: started, or just after the newest where that is unknown
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
    passed         INTEGER NOT NULL, -- from here on the counts that a trend reads
    failed         INTEGER NOT NULL,
    skipped        INTEGER NOT NULL,
    pending        INTEGER NOT NULL,
    retried        INTEGER NOT NULL,
    suite_failures INTEGER NOT NULL,
    sum            INTEGER NOT NULL  -- CRC-64 of the columns above but id
) STRICT;
CREATE INDEX runs_in_time ON runs (at, id);

-- The texts of a spec are long and the same from run to run: kept once.
CREATE TABLE names (
    id    INTEGER PRIMARY KEY,
    key   TEXT    NOT NULL UNIQUE, -- reports.Spec.Key: the texts in one
    texts TEXT    NOT NULL,        -- JSON array of suite, array of containers, leaf, occurrence
    sum   INTEGER NOT NULL
) STRICT;

-- Content that many runs share: messages, and where specs are with their labels.
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
