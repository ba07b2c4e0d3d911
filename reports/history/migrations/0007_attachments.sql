-- Never change this file once it is released: add the next number instead.
-- The outcomes of a run also hold the attachments of specs (columns.go), after all other fields and
-- only if a spec has one. No table changes: because of the new version number, an older program
-- refuses the file instead of reporting such a run as damaged.
PRAGMA application_id = 0x666c6a68;
