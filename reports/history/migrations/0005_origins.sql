-- Never change this file once it is released: add the next number instead.
-- The change and the job of a run, of those that say it.
CREATE TABLE origins (
    run_id      INTEGER PRIMARY KEY REFERENCES runs (id),
    base_branch TEXT    NOT NULL,
    cell        TEXT    NOT NULL, -- reports.Origin.Cell
    fork        INTEGER NOT NULL,
    partial     INTEGER NOT NULL, -- not all tests were asked for
    details     BLOB    NOT NULL, -- JSON of reports.Origin
    sum         INTEGER NOT NULL
) STRICT;
