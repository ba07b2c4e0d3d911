// Package compare contains the command that compares the benchmarks of two revisions.
package compare
