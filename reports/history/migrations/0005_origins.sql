-- Never change this file once it is released: add the next number instead.
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
