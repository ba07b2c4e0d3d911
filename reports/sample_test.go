package reports

import (
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	pages  = flag.String("pages", "", "folder to write the sample pages into, to look at them")
)

// gomega reads a real report: Gomega's own suites at one of its commits.
func gomega(t *testing.T, commit string) *Results {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "gomega-"+commit+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadGinkgo(z, "/src/gomega")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	march   = "2023-03-13-854f075"
	october = "2024-10-29-eeca931"
)

func spec(leaf string, state State) Spec {
	s := Spec{Suite: "suites/core", Containers: []string{"a pipeline", "after a crash"}, Leaf: leaf, Occurrence: 1, State: state,
		Attempts: 1, Duration: 12 * time.Millisecond, File: "suites/core/resume_test.go", Line: 41, Labels: []string{"crash"}}
	if state == Failed {
		s.Message = "Expected\n    <int>: 4\nto equal\n    <int>: 5"
	}
	return s
}

// results of n specs that pass and the others given.
func results(n int, others ...Spec) *Results {
	r := &Results{Suites: []Suite{{Path: "suites/core", Description: "Core", Started: noon, Duration: 2 * time.Second, Seed: 1795432086}}}
	for i := range n {
		r.Specs = append(r.Specs, spec(fmt.Sprintf("resumes at step %d", i+1), Passed))
	}
	r.Specs = append(r.Specs, others...)
	return r
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)

// comparison whose blocks spread around ratio.
func comparison(workload string, ratio float64) harness.Comparison {
	c := harness.Comparison{
		Schema: 1, Workload: workload, Durability: "process", Started: noon, Seconds: 0.84, Seed: 7130992,
		Plan: harness.Plan{Sessions: 24, Blocks: 5, Warmups: 8, Rounds: 10, Batch: map[string]int{harness.ArmBackend: 8, harness.ArmNone: 128}, SlowBy: 0.25},
		Environment: harness.Environment{Class: "linux-amd64-2cpu", OS: "linux", Arch: "amd64", Cores: 2, CPU: "AMD EPYC 7B13",
			Kernel: "6.8.0", Filesystem: "ext4", Go: "go1.26.0", SQLite: "v1.62.0"},
		CostRatio: estimate(ratio, 0.013, "ratio"),
		Overhead:  estimate(79.8, 0.02, "ratio"),
		Cost:      estimate(212, 0.021, "us/run"),
		Injected:  estimate(1.252, 0.006, "ratio"),
		Audit: []harness.Finding{
			{Check: "equal work", OK: true, Detail: "600 slots, the same result and 5 steps a run in every arm"},
			{Check: "every save made", OK: true, Detail: "33,600 saves, N+2 a run, counted by the backends"},
			{Check: "nothing dropped", OK: true, Detail: "600 slots planned, 600 kept"},
		},
		Complete: true,
	}
	for i := range 15 {
		off := 1 + 0.004*float64((i*7)%15-7)
		c.Blocks = append(c.Blocks, harness.Block{Session: i/5 + 1, CostRatio: ratio * off, Overhead: 79.8 * off, CostUS: 212 * off,
			Twin: 1 + 0.002*float64((i*4)%15-7), Slow: 1.252 * ratio * (1 + 0.004*float64((i*11)%15-7)), Injected: 1.252})
	}
	return c
}

func estimate(v, half float64, unit string) harness.Estimate {
	return harness.Estimate{Value: v, Low: v * (1 - half), High: v * (1 + half), Level: 0.95, N: 15, Of: "blocks", Unit: unit,
		Method: "20% trimmed mean of logs, Yuen's interval"}
}

func verdict(workload string, outcome thresholds.Outcome, above int) thresholds.Verdict {
	v := thresholds.Verdict{
		Outcome: outcome, Workload: workload, Metric: "cost_ratio", Durability: "process",
		Limit: 1.452, Boundary: 1.384, Baseline: 1.32, Margin: 0.1, Above: above, N: 15,
		Self: []thresholds.Check{
			{Name: "A/A pair", Want: thresholds.Held, Got: thresholds.Held, Above: 2, N: 15, Explain: "the same arm twice stayed below its boundary"},
			{Name: "+25% injected", Want: thresholds.Broken, Got: thresholds.Broken, Above: 15, N: 15, Explain: "the slowed arm was found"},
		},
		Source: "thresholds/limits/linux-amd64-2cpu.toml",
	}
	switch outcome {
	case thresholds.Held:
		v.Reason, v.Next = workload+" at process: (W-N)/F is within its limit 1.452: 0 of 15 blocks are above the boundary 1.384", "nothing to do"
	case thresholds.Broken:
		v.Reason = workload + " at process: (W-N)/F is above its limit: 15 of 15 blocks are above the boundary 1.384, calibrated baseline 1.32"
		v.Next = "find what made saves dearer since the last run that held"
	case thresholds.Invalid:
		v.Reason = "the measurement is at fault, not the product: every save made: 0 of 33,600 saves found"
		v.Next = "mend what the audit found, then run again"
		v.Self[1].Got = thresholds.Held
	}
	return v
}

// The runs that goldens and pages show.
func heldRun() (Run, []Run) {
	run := Run{ID: 12, Started: noon, Seconds: 14.2, Commit: "9f3ab27c11d04e5f", Command: "flujo-harness run ./...",
		Suites: results(40, spec("resumes a loop", Passed)), Comparisons: []harness.Comparison{comparison("three-steps", 1.31)},
		Verdicts: []thresholds.Verdict{verdict("three-steps", thresholds.Held, 0)}, Outcome: thresholds.Held, Complete: true}
	return run, past(11)
}

func brokenRun() (Run, []Run) {
	run, earlier := heldRun()
	retried := spec("survives kill -9", Passed)
	retried.Retried, retried.Attempts, retried.Message = true, 3, "Timed out after 1.000s."
	broke := spec("resumes at step 3", Failed)
	panicked := spec("answers two humans at once", Failed)
	panicked.Detail, panicked.Message = "panicked", "Test Panicked\nassignment to entry in nil map"
	run.Suites = results(0, retried, broke, panicked, spec("reads a newer file", Skipped), spec("talks to Postgres", Pending))
	for i := range 36 {
		if i != 2 {
			run.Suites.Specs = append(run.Suites.Specs, spec(fmt.Sprintf("resumes at step %d", i+1), Passed))
		}
	}
	run.Comparisons[0] = comparison("three-steps", 1.53)
	run.Verdicts[0] = verdict("three-steps", thresholds.Broken, 15)
	run.Verdicts[0].Notes = []string{"judged by the limits of another class: linux-amd64-4cpu"}
	run.Outcome, run.ExitCode, run.Dirty = thresholds.Broken, 1, true
	return run, earlier
}

func invalidRun() (Run, []Run) {
	run, _ := heldRun()
	run.Suites, run.SuiteError = nil, "read Ginkgo JSON: it is cut short: unexpected EOF"
	run.Verdicts[0] = verdict("three-steps", thresholds.Invalid, 0)
	run.Comparisons[0].Audit[1] = harness.Finding{Check: "every save made", Detail: "0 of 33,600 saves found by fresh connections"}
	run.Comparisons[0].Problem = "session 1: every save made: 0 of 33,600 saves found"
	run.Outcome, run.ExitCode = thresholds.Invalid, 3
	return run, nil
}

func benchRun() (Run, []Run) {
	run, earlier := heldRun()
	run.Suites = nil
	run.Command = "flujo-harness bench"
	for _, name := range []string{"fan-out of 8", "loop of 5", "one human", "long state", "nested"} {
		run.Comparisons = append(run.Comparisons, comparison(name, 1.29))
		run.Verdicts = append(run.Verdicts, verdict(name, thresholds.Held, 1))
	}
	return run, earlier
}

// hostile is text that must not act: markup, a script, escapes, overrides, length.
const hostile = "</title><script>alert(1)</script>\x1b[31mred\u202egnp.exe\u2066\u200f\u061c\u009b \"'><img src=x onerror=alert(1)> javascript:alert(1)"

func hostileRun() (Run, []Run) {
	run, earlier := brokenRun()
	bad := spec(hostile+strings.Repeat("w", 300), Failed)
	bad.Suite, bad.Containers, bad.File, bad.Message, bad.Detail = hostile, []string{hostile}, hostile, "line one\n"+hostile, hostile
	run.Suites.Specs = append(run.Suites.Specs, bad)
	run.Suites.Suites[0].Path = hostile
	run.Suites.Suites[0].Failures = []SuiteFailure{{Node: "BeforeSuite", Message: hostile, File: hostile, Line: 3}}
	run.Commit, run.Command = hostile, hostile
	c, v := &run.Comparisons[0], &run.Verdicts[0]
	c.Workload, v.Workload, c.Durability, v.Durability = hostile, hostile, hostile, hostile
	c.Problem, c.CostRatio.Method, c.CostRatio.Of, c.Environment.CPU = hostile, hostile, hostile, hostile
	c.Audit[0].Check, c.Audit[0].Detail = hostile, hostile
	v.Reason, v.Next, v.Source, v.Notes = hostile, hostile, hostile, []string{hostile}
	v.Self[0].Name, v.Self[0].Explain = hostile, hostile
	return run, earlier
}

// past is n earlier runs, the newest first, the latest of them without suites.
func past(n int) []Run {
	var runs []Run
	for id := n; id > 0; id-- {
		r := Run{ID: int64(id), Started: noon.Add(time.Duration(id-n-1) * time.Hour), Commit: fmt.Sprintf("%07x", 0x1a2b3c0+id), Complete: true}
		switch {
		case id == n:
		case id%4 == 1:
			r.Suites, r.Outcome = results(30+id/2, spec("resumes a loop", Failed), spec("survives kill -9", Failed)), thresholds.Broken
		default:
			r.Suites, r.Outcome = results(30+id, spec("resumes a loop", Failed)), thresholds.Broken
		}
		runs = append(runs, r)
	}
	if n > 2 {
		runs[1].Suites, runs[1].Outcome = results(40, spec("resumes a loop", Failed)), thresholds.Broken
	}
	return runs
}

var samples = map[string]func() (Run, []Run){
	"held": heldRun, "broken": brokenRun, "invalid": invalidRun, "bench": benchRun, "hostile": hostileRun,
}

func comparisons(n int) []harness.Comparison {
	var all []harness.Comparison
	for range n {
		all = append(all, comparison("three-steps", 1.31))
	}
	return all
}
