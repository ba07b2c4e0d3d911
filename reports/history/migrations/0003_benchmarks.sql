-- Never change this file once it is released: add the next number instead.
-- Figures of Go benchmarks. Runs without benchmarks have no row.
CREATE TABLE benchmarks (
    run_id  INTEGER PRIMARY KEY REFERENCES runs (id),
    figures BLOB    NOT NULL, -- JSON array of reports.Benchmark
    sum     INTEGER NOT NULL
) STRICT;
