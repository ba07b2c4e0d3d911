// Package choose finds which tests to run where not all are wanted: those that were red, those that
// depend on what changed, the known flakes among the red ones; and how long packages take.
package choose
