package render

import (
	"encoding/json"
	"html"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

// The output of a failed spec is stored in the history. It is on the page, folded, and in the formats
// that support outputs.
func TestOutputOfAFailingSpecIsShown(t *testing.T) {
	const printed = "dial <db>: refused\nsecond line"
	h := openHistory(t, t.TempDir()+"/history.db")
	bad := sample.Spec("opens the till", reports.Failed)
	bad.Message, bad.Output = "no till", printed
	if _, err := h.Append(t.Context(), reports.Run{Complete: true, Started: sample.Noon, Suites: sample.Results(1, bad)}); err != nil {
		t.Fatal(err)
	}
	a, err := analysis.Analyze(t.Context(), h, analysis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	page := output(t, "html", a)
	if _, behind, ok := strings.Cut(page, "<details><summary>Output</summary>"); !ok || !strings.Contains(behind, html.EscapeString(printed)) {
		t.Error("the page does not show it")
	}
	var text strings.Builder
	if err := outputs["junit"](&text, a); err != nil || !strings.Contains(text.String(), "<system-out>dial &lt;db&gt;: refused") {
		t.Errorf("no system-out in JUnit XML: %v", err)
	}
	var report struct {
		Transitions []struct{ Output string }
	}
	if err := json.Unmarshal([]byte(output(t, "json", a)), &report); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, move := range report.Transitions {
		found = found || move.Output == printed
	}
	if !found {
		t.Errorf("the JSON has no transition with it: %+v", report)
	}
}
