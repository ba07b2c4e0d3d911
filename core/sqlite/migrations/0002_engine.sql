-- What steps have used, the tokens of pauses, and how loops ended.
ALTER TABLE steps ADD COLUMN token  TEXT    NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN calls  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE steps ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE steps ADD COLUMN cost   INTEGER NOT NULL DEFAULT 0;  -- millionths of the unit of account
ALTER TABLE runs  ADD COLUMN exits  BLOB;                        -- JSON

-- Insert-only: the first answer to a pause is the one.
CREATE TABLE answers (
  run    INTEGER NOT NULL,          -- runs.id
  token  TEXT    NOT NULL,
  answer BLOB    NOT NULL,          -- JSON
  at     INTEGER NOT NULL,          -- nanoseconds UTC
  sum    INTEGER NOT NULL,          -- CRC-32C of the answer, see sum.go
  PRIMARY KEY (run, token)
) STRICT;
