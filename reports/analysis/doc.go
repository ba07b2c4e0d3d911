// Package analysis compares a run with its history.
//
// [Analyze] makes an [Analysis] of a recorded run, [Alone] one of a run without a history.
// The analysis holds how each spec moved since the run it is compared with and why it
// turned green, failures outside the specs, since when a spec fails, what is flaky or
// became slow, groups of failures with one cause, the trend, and the distance to a target.
// Package render prints it.
//
// Statistics name their source where they are computed: exact McNemar tests for paired
// results, Wilson bands for rates, the Mann-Whitney test for durations, Pettitt's test for
// change points, and the Benjamini-Hochberg procedure where many specs are tested at once.
package analysis
