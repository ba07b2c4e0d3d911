// Package reports keeps the results of runs and shows them.
//
// A [Run] is what one command found: the specs of the suites ([Results], read by
// [Read] from any runner's file), the measurements of package harness, the verdicts of
// package thresholds, and figures of Go benchmarks ([Benchmark]). [OpenHistory] keeps
// runs in a database file, without the secrets in them; [Summary] tells of one in a
// terminal, [WriteReport] as a page that needs no network and reads without JavaScript,
// [Live] as the same page while runs arrive, and [WriteMarkdown], [WriteJSON],
// [WriteJUnit], [WriteCTRF], [WriteOpenMetrics], [WriteBadge] and [WriteCSV] for other
// readers.
//
// The package shows and counts; it judges nothing. A verdict is printed as
// thresholds made it, an estimate as harness made it. What it works out itself is in
// one value, the [Account] of a run, which every output prints: the pass rate with its
// band ([Counts.PassRate], [Wilson]), how each spec moved since the run before and why
// it turned green, since when it fails, what is flaky, what became slow, and how far a
// target is. [History.Account] makes it from a history of any length in the time that
// a page takes to open.
//
// A history holds one row a run, its specs packed by column; texts that recur are kept
// once. The same run twice is one run ([Appended]); a job that is run again is another
// run beside the first. Every row has a checksum: SQLite has none. [History.Prune] and
// [History.Backup] look after the file.
//
// Two rules run through it. Input that cannot be read is an error or a failure,
// never "0 tests" and never green. And nothing that a test or an agent wrote reaches
// a screen as a control character: see [Visible].
//
// The life of a run:
//
//	history, err := reports.OpenHistory(ctx, ".flujo/history.db") // before measuring: it must be writable
//	results, err := reports.ReadGinkgo(file, moduleRoot)
//	run := reports.Run{Started: started, Suites: results, Outcome: outcome}
//	added, err := history.Append(ctx, run)
//	account, err := Analyze(ctx, history, reports.AccountOptions{Run: added.ID})
//	page, err := reports.WriteReport("reports/out", account)
//	for _, line := range reports.Summary(account, page) { … }
package reports
