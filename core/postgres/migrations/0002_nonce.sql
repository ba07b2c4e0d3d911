-- From here on, nonce is set by a start, too, and fences other executors off. It is 0 for runs that were
-- started before, and never claimed.
ALTER TABLE @.runs ADD COLUMN releaser bigint NOT NULL DEFAULT 0; -- nonce of the latest end, pause or stop
