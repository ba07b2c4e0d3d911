-- Never change this file once it is released: add the next number instead.
-- The outcomes of a run also hold the attachments of specs (columns.go), behind all else and
-- only where a spec has some. No table changes: the number of this file keeps a program
-- that does not know of it from taking such a run for a damaged one.
PRAGMA application_id = 0x666c6a68;
