// Package reports defines the types of recorded test runs, and rates computed from them.
//
// A [Run] is the result of one command: the specs of the suites ([Results]), the measurements of
// package harness, the verdicts of package thresholds, and figures of Go benchmarks
// ([Benchmark]). The sub-packages process a run:
//
//   - ingest reads result files of any runner into [Results].
//   - history stores runs, with secrets removed, in a SQLite database.
//   - store exchanges runs with other machines.
//   - analysis compares a run with its history: transitions and their causes, failure streaks,
//     flaky and slowing specs, and the distance to a target.
//   - quarantine lists specs whose failures do not fail a run.
//   - render writes an analysis: HTML, terminal, Markdown, JSON, JUnit, CTRF, metrics, CSV.
//
// The life cycle of a run:
//
//	h, err := history.Open(ctx, ".flujo/history.db") // before measuring: it must be writable
//	results, err := ingest.ReadGinkgo(file, moduleRoot)
//	run := reports.Run{Started: started, Suites: results, Outcome: outcome}
//	added, err := h.Append(ctx, run)
//	a, err := analysis.Analyze(ctx, h, analysis.Options{Run: added.ID})
//	page, err := render.WriteReport(".flujo/report", a)
//	for _, line := range render.Summary(a, render.Screen{Report: page}) { … }
//
// These packages count and display; they do not judge. Verdicts are printed as thresholds made
// them, estimates as harness made them.
//
// Two rules hold in all of them. Input that cannot be read is an error or a failure, never
// "0 tests" and never a pass. Text from tests and agents never reaches a screen with control
// characters, see [Visible].
package reports
