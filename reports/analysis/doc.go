// Package analysis compares a run with its history.
//
// [Analyze] analyzes a recorded run, [Alone] a run without a history. The [Analysis] contains the
// transitions of specs since the baseline run and why specs stopped failing, failures outside of
// specs, failure streaks, flaky and slowing specs, clusters of failures, the trend, and the
// distance to a target. Package render prints it.
//
// Sources and assumptions are documented where a statistic is computed: exact McNemar tests for
// paired results, Wilson intervals for rates, the Mann-Whitney test for durations, Pettitt's test
// for change points, and the Benjamini-Hochberg procedure for many specs at once.
package analysis
