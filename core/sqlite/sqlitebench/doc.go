// Package sqlitebench is what package sqlite gives to be measured, and what a program that
// only saves runs does not carry.
//
// A [Recorder] notes each transaction that a backend commits and counts what is written to its
// files. A [Floor] replays such a [Recording] by bare driver calls: the least that the same
// saves could cost. [CountRows] proves that saves were made, by somebody who did not make them.
package sqlitebench
