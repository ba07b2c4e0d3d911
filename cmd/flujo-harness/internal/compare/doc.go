// Package compare has the command that compares the benchmarks of two revisions.
package compare
