-- "fljo": tells a database of runs from every other SQLite file, see format.go.
PRAGMA application_id = 1718381167;

-- One row a run: written at its start, and again by a claim, a heartbeat and its end.
CREATE TABLE runs (
  id       INTEGER PRIMARY KEY,
  tenant   TEXT    NOT NULL,
  run      TEXT    NOT NULL,
  pipeline TEXT    NOT NULL,
  plan     INTEGER NOT NULL,          -- fingerprint, 64 bits; its text is in plans
  epoch    INTEGER NOT NULL,          -- one more with every claim: fences old executors off
  status   INTEGER NOT NULL,          -- core.Status
  started  INTEGER NOT NULL,          -- nanoseconds UTC
  ended    INTEGER NOT NULL DEFAULT 0,
  error    TEXT    NOT NULL DEFAULT '',
  exits    BLOB,                      -- how loops ended, as JSON
  wake     INTEGER NOT NULL DEFAULT 0, -- when a paused run can go on without an answer; 0: never
  seen     INTEGER NOT NULL DEFAULT 0, -- answers that the executor knew of when it paused
  sum      INTEGER NOT NULL,          -- two CRC-32C: of the start, and of the rest, see sum.go
  executor TEXT    NOT NULL,          -- who executes the run, or did last
  until    INTEGER NOT NULL,          -- when its lease ends; 0: nobody executes the run
  held     INTEGER NOT NULL,          -- CRC-32C of executor and until
  origin_tenant TEXT NOT NULL DEFAULT '', -- of a fork: the run that it was made of
  origin_run    TEXT NOT NULL DEFAULT '',
  origin_seq    INTEGER NOT NULL DEFAULT 0, -- and how many of its records were taken over
  UNIQUE (tenant, run)
) STRICT;

-- The texts of the plans that runs were started with.
CREATE TABLE plans (
  plan INTEGER PRIMARY KEY,           -- fingerprint
  text TEXT    NOT NULL,
  sum  INTEGER NOT NULL               -- CRC-32C of the text
) STRICT;

-- Insert-only. key is id<<20 | seq; seq 0 holds the state the run was started with, a
-- record without a path the state at its end.
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
  sum      INTEGER NOT NULL,          -- CRC-32C of the record, see sum.go
  calls    INTEGER NOT NULL,          -- what the step used
  tokens   INTEGER NOT NULL,
  cost     INTEGER NOT NULL,          -- millionths of the unit of account
  token    TEXT    NOT NULL DEFAULT '', -- of a pause
  whom     TEXT    NOT NULL DEFAULT '', -- is asked
  due      INTEGER NOT NULL DEFAULT 0   -- when the pause ends without an answer; 0: never
) STRICT;

-- Pauses alone: other steps have no entry.
CREATE INDEX pauses ON steps (token) WHERE status = 4;

-- Insert-only: the first answer to a pause is the one.
CREATE TABLE answers (
  run    INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  token  TEXT    NOT NULL,
  answer BLOB    NOT NULL,            -- JSON
  at     INTEGER NOT NULL,            -- nanoseconds UTC
  sum    INTEGER NOT NULL,            -- CRC-32C of the answer, see sum.go
  PRIMARY KEY (run, token)
) STRICT;

-- The number of a run is never used again: an executor may still hold a lease of it.
CREATE TABLE gone (last INTEGER NOT NULL) STRICT;
INSERT INTO gone VALUES (0);

-- The key of a step holds its run, so no foreign key can. A trigger also works on
-- connections of other programs, where foreign keys are off unless they are asked for.
CREATE TRIGGER run_deleted AFTER DELETE ON runs BEGIN
  DELETE FROM steps WHERE key BETWEEN OLD.id << 20 AND OLD.id << 20 | 1048575;
  DELETE FROM answers WHERE run = OLD.id;
  UPDATE gone SET last = max(last, OLD.id);
END;
