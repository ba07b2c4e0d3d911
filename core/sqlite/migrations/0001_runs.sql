-- One row a run: written at its start, touched again only by a claim and by its end.
CREATE TABLE runs (
  id       INTEGER PRIMARY KEY,
  tenant   TEXT    NOT NULL,
  run      TEXT    NOT NULL,
  pipeline TEXT    NOT NULL,
  plan     INTEGER NOT NULL,          -- fingerprint, 64 bits
  epoch    INTEGER NOT NULL,          -- one more with every claim: fences old executors off
  status   INTEGER NOT NULL,          -- core.Status
  error    TEXT    NOT NULL DEFAULT '',
  started  INTEGER NOT NULL,          -- nanoseconds UTC
  ended    INTEGER NOT NULL DEFAULT 0,
  UNIQUE (tenant, run)
) STRICT;

-- Insert-only. key is id<<20 | seq; seq 0 holds the state the run was started with.
CREATE TABLE steps (
  key      INTEGER PRIMARY KEY,
  path     TEXT    NOT NULL,
  status   INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  output   BLOB,
  feedback TEXT    NOT NULL,
  error    TEXT    NOT NULL,
  state    BLOB,                      -- NULL where the step did not change it
  started  INTEGER NOT NULL,
  ended    INTEGER NOT NULL,
  sum      INTEGER NOT NULL           -- CRC-32C of the record, see sum.go
) STRICT;
