-- What is stored of a run itself has a checksum too. The high half is of what its start
-- wrote, the low half of what claims and ends write, see sum.go; NULL in older rows.
ALTER TABLE runs ADD COLUMN sum INTEGER;
