-- Names and texts are bytea: they may hold any byte, NUL among them.

-- One row a run. Its key is the SHA-256 of tenant and name, since names are longer than
-- what an index holds. All that decides whether a save is made stands in this row:
-- PostgreSQL reads only the row that it has locked anew after a wait.
CREATE TABLE @.runs (
  id       bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never used again
  key      bytea    NOT NULL UNIQUE,
  tenant   bytea    NOT NULL,
  run      bytea    NOT NULL,
  pipeline bytea    NOT NULL,
  plan     bigint   NOT NULL,             -- fingerprint, 64 bits; its text is in plans
  birth    bigint   NOT NULL,             -- random, of the start: finds it again after a lost answer
  nonce    bigint   NOT NULL DEFAULT 0,   -- random, of the latest claim: likewise
  epoch    bigint   NOT NULL,             -- one more with every claim: fences old executors off
  released bigint   NOT NULL DEFAULT 0,   -- epoch of the latest end, pause or stop: likewise
  status   smallint NOT NULL,             -- core.Status
  seq      bigint   NOT NULL DEFAULT 0,   -- of the latest record in steps: the next save has one more
  answers  bigint   NOT NULL DEFAULT 0,   -- how many there are in answers
  seen     bigint   NOT NULL DEFAULT 0,   -- answers that the executor knew of when it paused
  started  bigint   NOT NULL,             -- nanoseconds UTC
  ended    bigint   NOT NULL DEFAULT 0,
  wake     bigint   NOT NULL DEFAULT 0,   -- when a paused run can go on without an answer; 0: never
  until    bigint   NOT NULL,             -- when the lease ends; 0: nobody executes the run
  held     bigint   NOT NULL,             -- CRC-32C of executor and until
  sum      bigint   NOT NULL,             -- two CRC-32C: of the start, and of the rest, see sum.go
  origin_seq    bigint NOT NULL DEFAULT 0, -- of a fork: how many records were taken over
  executor bytea    NOT NULL,
  error    bytea    NOT NULL DEFAULT '',
  exits    bytea,                         -- how loops ended, as JSON
  origin_tenant bytea NOT NULL DEFAULT '', -- of a fork: the run that it was made of
  origin_run    bytea NOT NULL DEFAULT ''
) WITH (fillfactor = 60); -- every save changes seq: room for that on the same page

CREATE INDEX runs_started ON @.runs (started, id);
CREATE INDEX runs_open ON @.runs (id) WHERE status IN (1, 4);

-- The texts of the plans that runs were started with.
CREATE TABLE @.plans (
  plan bigint PRIMARY KEY,                -- fingerprint
  text bytea  NOT NULL,
  sum  bigint NOT NULL                    -- CRC-32C of the text
);

-- Insert-only. seq 0 holds the state the run was started with, a record without a path
-- the state at its end.
CREATE TABLE @.steps (
  run      bigint   NOT NULL,
  seq      bigint   NOT NULL,
  epoch    bigint   NOT NULL,             -- of the lease by which it was saved
  status   smallint NOT NULL,
  attempts bigint   NOT NULL,
  started  bigint   NOT NULL,
  ended    bigint   NOT NULL,
  calls    bigint   NOT NULL,             -- what the step used
  tokens   bigint   NOT NULL,
  cost     bigint   NOT NULL,             -- millionths of the unit of account
  due      bigint   NOT NULL,             -- when a pause ends without an answer; 0: never
  sum      bigint   NOT NULL,             -- CRC-32C of the record, see sum.go
  path     bytea    NOT NULL,
  token    bytea    NOT NULL,             -- of a pause
  whom     bytea    NOT NULL,             -- is asked
  feedback bytea    NOT NULL,
  error    bytea    NOT NULL,
  output   bytea,
  state    bytea,                         -- NULL where the step did not change it
  PRIMARY KEY (run, seq)
);

-- Pauses alone: other steps have no entry.
CREATE INDEX steps_pauses ON @.steps (run) WHERE status = 4;

-- Insert-only: the first answer to a pause is the one.
CREATE TABLE @.answers (
  run    bigint NOT NULL,
  key    bytea  NOT NULL,                 -- SHA-256 of the token
  token  bytea  NOT NULL,
  answer bytea  NOT NULL,                 -- JSON
  at     bigint NOT NULL,                 -- nanoseconds UTC
  sum    bigint NOT NULL,                 -- CRC-32C of the answer, see sum.go
  PRIMARY KEY (run, key)
);
