-- Never change this file once it is released: add the next number instead.
PRAGMA application_id = 0x666c6a68; -- "fljh": distinguishes a history from other databases

CREATE TABLE runs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused, so that a link to a run stays valid
    started     INTEGER NOT NULL,                  -- ns UTC
    seconds     REAL    NOT NULL,
    commit_id   TEXT    NOT NULL,
    dirty       INTEGER NOT NULL,
    command     TEXT    NOT NULL,
    has_suites  INTEGER NOT NULL,                  -- 0: suites were not run, or see suite_error
    suite_error TEXT    NOT NULL,
    comparisons TEXT    NOT NULL,                  -- JSON array of harness.Comparison
    verdicts    TEXT    NOT NULL,                  -- JSON array of thresholds.Verdict
    outcome     TEXT    NOT NULL,
    exit_code   INTEGER NOT NULL,
    complete    INTEGER NOT NULL
) STRICT;

CREATE TABLE suites (
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    position    INTEGER NOT NULL,
    path        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    started     INTEGER NOT NULL, -- ns UTC
    duration    INTEGER NOT NULL, -- ns
    seed        INTEGER NOT NULL,
    focused     INTEGER NOT NULL,
    failures    TEXT    NOT NULL, -- JSON array of reports.SuiteFailure
    PRIMARY KEY (run_id, position)
) STRICT;

-- The texts of a spec are long and the same in every run, so they are stored once.
CREATE TABLE specs (
    id         INTEGER PRIMARY KEY,
    key        TEXT    NOT NULL UNIQUE, -- reports.Spec.Key
    suite      TEXT    NOT NULL,
    containers TEXT    NOT NULL,        -- JSON array
    leaf       TEXT    NOT NULL,
    occurrence INTEGER NOT NULL
) STRICT;

CREATE TABLE results (
    run_id   INTEGER NOT NULL REFERENCES runs (id),
    position INTEGER NOT NULL,
    spec_id  INTEGER NOT NULL REFERENCES specs (id),
    state    TEXT    NOT NULL CHECK (state IN ('passed', 'failed', 'skipped', 'pending')),
    detail   TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    retried  INTEGER NOT NULL,
    duration INTEGER NOT NULL, -- ns
    message  TEXT    NOT NULL,
    file     TEXT    NOT NULL,
    line     INTEGER NOT NULL,
    labels   TEXT    NOT NULL, -- JSON array
    PRIMARY KEY (run_id, position),
    UNIQUE (spec_id, run_id) -- one result per spec and run; also the index for the past of a spec
) STRICT;
