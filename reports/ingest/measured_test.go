package ingest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// A comparison contains durations, which encoding/json writes as numbers of nanoseconds.
func TestReadGinkgoTakesTheComparisonOfASpec(t *testing.T) {
	c := sample.Comparison("review", 1.2)
	c.Conditions = []harness.Conditions{{Sync: 200 * time.Microsecond, Syncs: 9}}
	want := thresholds.Judged{Comparison: &c, Verdict: thresholds.Verdict{Outcome: thresholds.Held, Reason: "within its limit"}}
	value, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := json.Marshal(string(value))
	if err != nil {
		t.Fatal(err)
	}
	text := "[" + suite(true, 1, "", node("It", "holds", "passed",
		fmt.Sprintf(`,"ReportEntries":[{"Name":%q,"Value":{"AsJSON":%s}}]`, thresholds.OverheadEntry, entry))) + "]"
	r, err := ReadGinkgo(strings.NewReader(text), "/m")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]thresholds.Judged{want}, r.Measured); diff != "" {
		t.Error(diff)
	}
}
