-- Never change this file once it is released: add the next number instead.
-- What is known of the objects of shared stores (package store), so that a run is encoded once
-- and an object is read once. A row stays when its run is pruned: the run is not taken again.
CREATE TABLE objects (
    name   TEXT    PRIMARY KEY,
    run_id INTEGER NOT NULL     -- the run may be pruned
) STRICT, WITHOUT ROWID;
CREATE INDEX objects_of_runs ON objects (run_id);

-- Which objects a pack holds.
CREATE TABLE packs (
    pack TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (pack, name)
) STRICT, WITHOUT ROWID;
