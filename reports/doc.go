// Package reports has the types that results of test runs are kept in, and the rates
// computed from them.
//
// A [Run] is what one command found: the specs of the suites ([Results]), the
// measurements of package harness, the verdicts of package thresholds, and figures of Go
// benchmarks ([Benchmark]). The sub-packages take a run from a file to a page:
//
//   - ingest reads result files of any runner into [Results].
//   - history keeps runs in a SQLite database, without the secrets in them.
//   - analysis compares a run with its history: what moved and why, since when a spec
//     fails, what is flaky, what became slow, how far a target is.
//   - render writes the analysis: page, terminal, Markdown, JSON, JUnit, CTRF, metrics, CSV.
//
// The life of a run:
//
//	h, err := history.Open(ctx, ".flujo/history.db") // before measuring: it must be writable
//	results, err := ingest.ReadGinkgo(file, moduleRoot)
//	run := reports.Run{Started: started, Suites: results, Outcome: outcome}
//	added, err := h.Append(ctx, run)
//	a, err := analysis.Analyze(ctx, h, analysis.Options{Run: added.ID})
//	page, err := render.WriteReport(".flujo/report", a)
//	for _, line := range render.Summary(a, render.Screen{Report: page}) { … }
//
// The packages count and show; they judge nothing. A verdict is printed as thresholds
// made it, an estimate as harness made it.
//
// Two rules hold in all of them. Input that cannot be read is an error or a failure,
// never "0 tests" and never green. And nothing that a test or an agent wrote reaches a
// screen as a control character: see [Visible].
package reports
