// Package history keeps runs in a SQLite database.
//
// [Open] opens or creates the file for writing, [OpenRecorded] opens an existing one for
// reading, also on a read-only file system. [History.Append] adds a run and removes the
// secrets in it first. The same run twice is one run ([Appended]); a job that is run again
// is another run.
//
// There is one row for each run, its specs packed by column; texts that recur are stored
// once. Every row has a checksum, because SQLite has none: a damaged row is a
// [*DamagedError]. [History.Prune] and [History.Backup] look after the file.
//
// A [Reader] reads one state of the file for package analysis.
package history
