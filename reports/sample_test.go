package reports

import (
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io/fs"
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

// cellsRun is a run a day after the one before: its commit, "+" behind it for a tree
// with changes, and a character for each spec as in [HeatRow].
func cellsRun(i int, text string) Run {
	commit, cells, _ := strings.Cut(text, ":")
	commit, dirty := strings.CutSuffix(commit, "+")
	r := Run{Started: noon.AddDate(0, 0, i), Commit: commit, Dirty: dirty, Format: "Ginkgo JSON", Complete: true, Suites: &Results{Suites: []Suite{{Path: "shop"}}}}
	for k, c := range cells {
		s := Spec{Suite: "shop", Containers: []string{"an order"}, Leaf: strings.Repeat(string(rune('a'+k)), 8), Occurrence: 1, Attempts: 1,
			State: Passed, Duration: time.Second, File: "shop/order_test.go", Line: 10 + k}
		switch c {
		case ' ':
			continue
		case 'F':
			s.State, s.Message = Failed, fmt.Sprintf("it is lost at %#x", 4096+i)
		case 's':
			s.State = Skipped
		case 'p':
			s.State = Pending
		case 'R':
			s.Retried, s.Attempts = true, 2
		case 'B':
			s.State, s.Detail, s.Attempts, s.Message = Failed, BothWays, 3, "failed in 1 of 3 runs"
		}
		r.Suites.Specs = append(r.Suites.Specs, s)
	}
	return r
}

func cells(texts ...string) []Run {
	var all []Run
	for i, text := range texts {
		all = append(all, cellsRun(i, text))
	}
	return all
}

// leakyRun has a secret in every place that a test or an agent can write to.
func leakyRun() (Run, []Run) {
	run, earlier := brokenRun()
	said := "key " + canaries[0] + "\nGITHUB " + canaries[1] + " " + canaries[2] + "\npassword = \"" + canaries[3] + "\"\nAuthorization: Bearer " + canaries[4]
	bad := spec("calls the model with "+canaries[0], Failed)
	bad.Containers, bad.Labels = []string{"with " + canaries[1]}, []string{canaries[2]}
	bad.Message, bad.Detail = said, canaries[0]
	before := spec("a text before the one that gives it away: "+canaries[3], Passed)
	s := &run.Suites.Suites[0]
	s.Path, bad.Suite = "tests of "+canaries[1], "tests of "+canaries[1] // JUnit has it from who wrote the test
	s.Description, s.Failures = said, []SuiteFailure{{Node: "BeforeSuite", Message: said, File: "a_test.go", Line: 3}}
	run.Suites.Specs = append([]Spec{before, bad}, run.Suites.Specs...)
	run.Command, run.SuiteError = "flujo-harness run --token="+canaries[0]+" --filter "+canaries[3], said
	run.Comparisons[0].Problem = said
	run.Comparisons[0].Audit = append(run.Comparisons[0].Audit, harness.Finding{Check: "odd", Detail: said})
	run.Benchmarks = []Benchmark{{Name: "Call/" + canaries[0], Unit: "sec/op", Values: []float64{1}}}
	run.Verdicts[0].Reason, run.Verdicts[0].Next, run.Verdicts[0].Notes = said, said, []string{said}
	return run, earlier
}

func holdsNoSecret(t *testing.T, what, text string) {
	t.Helper()
	for i, secret := range canaries {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds secret %d", what, i)
		}
	}
}

// SeedRuns is a history with the counts of the seed's report: a run at the end of each
// of its four phases, the failures of which only ever become fewer. It is the same on
// every call.
func SeedRuns() []Run {
	const total, skipped = 2283, 8
	runs := make([]Run, len(SeedFailures))
	for i, failing := range SeedFailures {
		r := Run{Started: seedDay(i), Seconds: 94, Commit: seedCommits[i], Branch: "main", Key: fmt.Sprintf("phase %d", i+1), Format: "Ginkgo JSON",
			Command: "go tool ginkgo run ./...", Outcome: thresholds.Broken, ExitCode: 1, Complete: true, Suites: &Results{}}
		suites := map[string]bool{}
		k := 0
		add := func(s Spec) {
			s.Occurrence, s.Attempts, s.Line = 1, 1, 10+k
			s.Duration = time.Duration(1+k%37) * time.Millisecond
			s.File = s.Suite + "/suite_test.go"
			if s.State == Skipped {
				s.Attempts, s.Duration = 0, 0
			}
			if !suites[s.Suite] {
				suites[s.Suite] = true
				r.Suites.Suites = append(r.Suites.Suites, Suite{Path: s.Suite, Description: s.Suite, Started: r.Started, Duration: 20 * time.Second, Seed: 20250809})
			}
			r.Suites.Specs = append(r.Suites.Specs, s)
			k++
		}
		for j, s := range seedFailing() {
			if j >= failing { // fixed by now
				s.State, s.Message = Passed, ""
			}
			add(s)
		}
		for n := range skipped {
			add(Spec{Suite: "tests/unit", Containers: []string{"an optional backend"}, Leaf: fmt.Sprintf("works with server %d", n+1), State: Skipped, Message: "no server here"})
		}
		for n := SeedFailures[0] + skipped; n < total; n++ {
			add(Spec{Suite: []string{"tests/unit", "tests/integration"}[n%2], Containers: []string{"a pipeline"}, Leaf: fmt.Sprintf("keeps its promise %d", n), State: Passed})
		}
		runs[i] = r
	}
	return runs
}

// seedFailing lists the 66, those that are fixed first at the end.
func seedFailing() []Spec {
	var byKind [][]Spec
	for i, kind := range seedKinds {
		var specs []Spec
		for n := range kind.n {
			specs = append(specs, Spec{Suite: kind.suite, Containers: []string{"phase work on " + kind.category}, Leaf: fmt.Sprintf("case %d of kind %d", n+1, i+1),
				State: Failed, Message: kind.message, Labels: []string{"category:" + kind.category, "owner:team-" + strings.Fields(kind.category)[0]}})
		}
		byKind = append(byKind, specs)
	}
	var all []Spec
	for _, i := range []int{5, 6, 7, 0, 1, 2, 3, 4} { // 53 stay, 6 are fixed in phase 4, 5 in phase 3, 2 in phase 2
		all = append(all, byKind[i]...)
	}
	return all
}

// seedDay is when phase i+1 ended.
func seedDay(i int) time.Time { return time.Date(2025, 8, 6+i, 18, 0, 0, 0, time.UTC) }

// SeedPlan is the seed's target and phases.
func SeedPlan() *Plan {
	p := &Plan{Target: 98.5}
	for i := range SeedFailures {
		p.Phases = append(p.Phases, PlanPhase{Name: fmt.Sprintf("Phase %d", i+1), Until: seedDay(i).Add(time.Hour)})
	}
	return p
}

// SeedLimits has the loosening that the seed tells of: 50% to 1200%.
func SeedLimits() []*thresholds.File {
	return []*thresholds.File{{Class: "linux-amd64", Path: "thresholds/limits/linux-amd64.toml", Ledger: []thresholds.Entry{{Date: "2025-08-09", Change: thresholds.Loosened,
		Workload: "three-steps", Metric: "overhead", Durability: "process", From: 0.5, To: 12, Reason: "the enhanced system costs more", Expires: "2025-09-09"}}}}
}

// SeedSource is the source at each commit: before the last, the scripts of the
// performance suite were too short.
type SeedSource struct{}

// File implements [Source].
func (SeedSource) File(_ context.Context, commit, path string) ([]byte, error) {
	if path != "tests/performance/suite_test.go" {
		return nil, fs.ErrNotExist
	}
	outputs := 1
	if commit == seedCommits[3] {
		outputs = 25
	}
	var b strings.Builder
	b.WriteString("package performance\n\nvar _ = Describe(\"phase work on performance\", func() {\n")
	for kind, n := range map[int]int{1: 2, 2: 3, 3: 1} {
		for i := range n {
			fmt.Fprintf(&b, "\tIt(\"case %d of kind %d\", func() { run(agent(\"output\", %d)) })\n", i+1, kind, outputs)
		}
	}
	b.WriteString("})\n")
	return []byte(b.String()), nil
}

// The secrets are made up and put together here, so that no scanner of this
// repository takes them for real ones.
var canaries = []string{
	"sk-" + "proj-canary0abcdefghij1234567890", "ghp_" + "canary1abcdefghij1234567890", "AKIA" + "IOSFODNN7CANARY2",
	"hunter2-canary3-hunter2", "canary4." + "aB3dE5fG7hJ9kL2mN4pQ6rS8",
}

// SeedFailures are the failures at the end of each phase of the seed's report, of
// 2,283 specs with 8 skipped.
var SeedFailures = []int{66, 64, 59, 53}

// The 66 specs that fail at first. The categories of those that remain are the seed's
// own estimates.
var seedKinds = []struct {
	n        int
	category string
	suite    string
	message  string
}{
	{2, "performance", "tests/performance", "overhead of three-steps is 1180% where at most 50% are allowed"},
	{3, "performance", "tests/performance", "No more outputs available"},
	{1, "performance", "tests/performance", "No more outputs available (attempt 2)"},
	{5, "errors", "tests/unit", "Expected\n    <string>: quota exceeded\nto contain substring\n    <string>: budget"},
	{2, "errors", "tests/unit", "Expected\n    <bool>: false\nto be true"},
	{25, "integration", "tests/integration", "the answer of the human was not found in the scope after resuming step 3"},
	{20, "feedback", "tests/unit", "Expected\n    <string>: step failed\nto contain substring\n    <string>: validation failed"},
	{8, "edge cases", "tests/edge", "json: unsupported value: NaN at 0xc0000a2140"},
}

var seedCommits = []string{"46fed1b0c1a5", "865a4e07d2b6", "99efb7e3e3c7", "4a8b54fef4d8"}
