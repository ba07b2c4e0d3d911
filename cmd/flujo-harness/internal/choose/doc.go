// Package choose selects the tests to run if not all are wanted: those that failed, those that
// depend on changed files, and known flaky ones. It also estimates how long packages take.
package choose
