-- Never change this file once it is released: add the next number instead.
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
