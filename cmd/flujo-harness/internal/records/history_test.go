package records

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

// In a terminal, long names of branches are shortened so that the list fits; in a pipe they are not.
func TestTheListOfRunsFitsIntoATerminal(t *testing.T) {
	const branch = "feature/a-long-branch-name-for-invoice-rendering-rework"
	started := time.Date(2026, 12, 1, 15, 4, 0, 0, time.UTC)
	rows := []string{"RUN\tSTARTED\tBRANCH\tCOMMIT\tOUTCOME\tPASS\tFAIL\tSKIP\tRATE",
		historyRow(history.RunLine{ID: 1234, Started: started, Complete: true, Branch: branch, Commit: "0123456789abcdef", Dirty: true, Outcome: thresholds.Broken, Rated: true, Counts: reports.Counts{Passed: 12, Failed: 1}}, ""),
		historyRow(history.RunLine{ID: 1233, Started: started, Complete: true, Branch: "main", Commit: "0123456789abcdef", Outcome: thresholds.Broken, Measured: true}, "5 benchmarks compared")}
	for width, want := range map[int]string{0: branch, 80: "feat…ework", 200: branch, 60: "fe…ork"} {
		var out strings.Builder
		if err := writeHistory(&out, rows, width); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "  "+want+"  ") || !strings.Contains(out.String(), "  main  ") {
			t.Errorf("width %d: no %s in\n%s", width, want, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(line) - 1; n > width && width >= 80 {
				t.Errorf("%d columns, at most %d: %s", n, width, line)
			}
		}
	}
}
