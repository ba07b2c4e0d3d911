// Package history stores runs in a SQLite database.
//
// [Open] opens or creates a file for writing. [OpenRecorded] opens an existing file for reading,
// even on a read-only file system. [History.Append] adds a run with secrets removed; adding a run
// twice has no effect. [History.Prune] removes runs, [History.Backup] copies the file.
//
// There is one row per run, with its specs packed by column; recurring texts are stored once. Every
// row has a checksum, because SQLite does not checksum its pages: a damaged row is a
// [*DamagedError].
//
// A [Reader] reads from one transaction, for package analysis.
package history
