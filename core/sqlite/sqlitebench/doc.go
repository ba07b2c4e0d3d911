// Package sqlitebench lets package harness measure package sqlite. It is a package of its own, so
// that programs that only save runs do not contain this code.
//
// A [Recorder] records each transaction that a backend commits, and counts what is written to its
// files. A [Floor] replays such a [Recording] with bare driver calls: that is the minimum that the
// same saves could cost. [CountRows] checks independently that saves were made.
package sqlitebench
