package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// BenchmarkMemoryOfReports measures the largest resident set, in MB, of commands that read a file
// or a history of 100,000 failing specs:
//
//	go test ./cmd/flujo-harness -run '^$' -bench MemoryOfReports -benchtime 1x
//
// On Linux/amd64 with Go 1.26: ingest 190, report 192, --json 195, gate 186. The memory of the
// analysis for each spec is bounded by TestAnalysisOfFailuresIsBounded, which counts bytes.
func BenchmarkMemoryOfReports(b *testing.B) {
	const failing = 100_000
	dir := b.TempDir()
	for run := range 3 {
		if err := writeFailures(filepath.Join(dir, fmt.Sprintf("%d.xml", run)), failing, run); err != nil {
			b.Fatal(err)
		}
	}
	measure := func(args ...string) float64 {
		cmd := program(b, dir, args...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%q: %v\n%s", args, err, out)
		}
		return float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1000
	}
	for b.Loop() {
		for run := range 3 {
			b.ReportMetric(measure("ingest", "--db", "h.db", "--commit", fmt.Sprintf("%07d", run+1), fmt.Sprintf("%d.xml", run)), "MB-ingest")
		}
		b.ReportMetric(measure("report", "--db", "h.db", "--out", "page"), "MB-report")
		b.ReportMetric(measure("report", "--db", "h.db", "--json", "report.json"), "MB-json")
		b.ReportMetric(measure("gate", "--db", "h.db", "--no-new-failures"), "MB-gate")
	}
}

// writeFailures writes a JUnit file in which every test case fails with a distinct message.
func writeFailures(path string, n, run int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "<testsuites><testsuite name=\"shop\" tests=\"%d\" failures=\"%d\">\n", n, n)
	for i := range n {
		fmt.Fprintf(w, `<testcase classname="shop.pkg%d.CartTest" name="spec number %d of the shop" file="shop/pkg%d/cart_test.py" line="%d" time="0.001"><failure message="expected %d to equal %d but it did not">Traceback of %d
  File "shop/cart_test.py", line 3, in test
    assert basket.total() == %d
</failure></testcase>
`, i%200, i, i%200, i%900+1, i, run, i, i)
	}
	fmt.Fprint(w, "</testsuite></testsuites>\n")
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
