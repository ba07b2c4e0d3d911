-- Never change this file once it is released: add the next number instead.
-- There is one row per run, with its specs packed by column (columns.go).
PRAGMA application_id = 0x666c6a48; -- "fljH": distinguishes a history from other databases

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

-- Figures of Go benchmarks. Runs without benchmarks have no row.
CREATE TABLE benchmarks (
    run_id  INTEGER PRIMARY KEY REFERENCES runs (id),
    figures BLOB    NOT NULL, -- JSON array of reports.Benchmark
    sum     INTEGER NOT NULL
) STRICT;

-- The change and the CI job that a run belongs to. Runs for which neither is known have no row.
CREATE TABLE origins (
    run_id      INTEGER PRIMARY KEY REFERENCES runs (id),
    base_branch TEXT    NOT NULL,
    cell        TEXT    NOT NULL, -- reports.Origin.Cell
    fork        INTEGER NOT NULL,
    partial     INTEGER NOT NULL, -- some tests were excluded
    details     BLOB    NOT NULL, -- JSON of reports.Origin
    sum         INTEGER NOT NULL
) STRICT;

-- The objects of shared stores (package store) that were written or read, so that each run is encoded
-- once and each object is read once. The row of a pruned run stays, so that the run is not read again.
CREATE TABLE objects (
    name   TEXT    PRIMARY KEY,
    run_id INTEGER NOT NULL     -- the run may be pruned
) STRICT, WITHOUT ROWID;
CREATE INDEX objects_of_runs ON objects (run_id);

-- The objects that a pack contains.
CREATE TABLE packs (
    pack TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (pack, name)
) STRICT, WITHOUT ROWID;
