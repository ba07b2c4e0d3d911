-- Random, of the latest start or claim: fences other executors off. It is 0 for runs that were started or
-- claimed before this column was.
ALTER TABLE runs ADD COLUMN nonce INTEGER NOT NULL DEFAULT 0;
