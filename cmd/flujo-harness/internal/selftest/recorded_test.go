package selftest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func recordedTable(t *testing.T, text string, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "raw.jsonl")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := errorsCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(append(args, "--from", file))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

const comparedRows = `{"change":"comments only","margin":2,"burners":4,"benchmark":"a.X","outcome":"held","seconds":4,"instructions":1.0001,"base":[100,101],"benchstat_alarm":true,"threshold_alarm":false}
{"change":"+2%","margin":2,"burners":4,"benchmark":"a.X","outcome":"broken","seconds":3,"instructions":1.02}
{"change":"+2%","margin":2,"burners":4,"benchmark":"a.X","outcome":"broken","seconds":5,"instructions":1.019}
{"change":"+2%","margin":2,"burners":4,"benchmark":"a.Y","outcome":"inconclusive","seconds":9,"reason":"it varies"}
{"change":"+2%","margin":2,"burners":4,"benchmark":"a.Z","outcome":"held","seconds":9,"injected":0,"instructions":1}
{"change":"+2%","margin":2,"burners":4,"benchmark":"a.X","outcome":"broken","seconds":5,"injected":1.95,"instructions":1.02}
`

func TestRecordedVerdictsOfCompareArePrinted(t *testing.T) {
	got, err := recordedTable(t, comparedRows, "--compare", "--format", "markdown")
	const want = `
| change | margin | busy processes | n | broken | held | inconclusive | invalid | instructions, median | seconds: median, p95 | benchstat alarms | threshold alarms |
|---|---|---|---|---|---|---|---|---|---|---|---|
| comments only | 2% | 4 | 1 | 0 | 1 | 0 | 0 | +0.01% (n=1) | 4.0, 4.0 | 1 of 1 | 0 of 1 |
| +2% | 2% | 4 | 4 | 3 | 0 | 1 | 0 | +2.00% (n=3) | 5.0, 9.0 |  |  |

neither held nor broken (+2%, margin 2%), the first: it varies
verdicts left out (+2%, margin 2%), because so few operations change by another share: 1, the first: a.Z, +0%

| unchanged benchmark | instructions of an operation | from the 5th to the 95th percentile | counts |
|---|---|---|---|
| a.X | 100.5 | 1.00% | 2 |

1 of 1 benchmarks vary by no more than 1%
1 of 1 benchmarks vary by no more than 2%
1 of 1 benchmarks vary by no more than 5%
`
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
	if got, err := recordedTable(t, comparedRows, "--compare"); err != nil || !strings.Contains(got, "comments only  2%      4               1  0") {
		t.Errorf("as text, error %v:\n%s", err, got)
	}
}

func TestRecordedVerdictsOfTheGateArePrinted(t *testing.T) {
	row := func(change, scale, outcome, more string) string {
		return `{"Change":` + change + `,"Burners":0,"Scale":` + scale + `,"comparison":{"seconds":2,"blocks":[{"session":1},{"session":2}]},"verdict":{"outcome":"` + outcome + `"` + more + `}}` + "\n"
	}
	got, err := recordedTable(t, row("10", "1", "broken", "")+row("10", "1.1", "inconclusive", `,"stale":true`)+row("10", "1", "broken", ""), "--format", "markdown")
	const want = `| change | busy processes | limit | n | broken | held | inconclusive | invalid | said stale | seconds: median, p95 | sessions: median |
|---|---|---|---|---|---|---|---|---|---|---|
| +10% | 0 | x1 | 2 | 2 | 0 | 0 | 0 | 0 | 2.00, 2.00 | 2 |
| +10% | 0 | x1.1 | 1 | 0 | 0 | 1 | 0 | 1 | 2.00, 2.00 | 2 |
`
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
}

func TestOtherFilesAreNoRecordedVerdicts(t *testing.T) {
	for name, tc := range map[string]struct {
		text, says string
		args       []string
	}{
		"none":                {"", "no verdicts in it", []string{"--compare"}},
		"none of the gate":    {"", "no verdicts in it", nil},
		"the gate's":          {`{"Change":5,"verdict":{"outcome":"held"}}`, "name a file that --raw wrote, and --compare if it was given then", []string{"--compare"}},
		"compare's":           {comparedRows, "name a file that --raw wrote", nil},
		"a comparison alone":  {`{"Change":5,"verdict":{"outcome":"held"}}`, "no comparison of a workload", nil},
		"no JSON":             {"change", "row 1: ", []string{"--compare"}},
		"another format":      {comparedRows, "use text or markdown", []string{"--compare", "--format", "html"}},
		"an unknown change":   {`{"change":"x%","outcome":"held"}`, `change "x%"`, []string{"--compare"}},
		"of another revision": {comparedRows, "none of the others can be", []string{"--against"}},
	} {
		if out, err := recordedTable(t, tc.text, tc.args...); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: error %v, want %q; printed\n%s", name, err, tc.says, out)
		}
	}
}
