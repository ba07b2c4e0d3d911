// Package sample contains runs, results and comparisons for the tests of package reports and its
// sub-packages. Only tests import it.
package sample

import (
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

var (
	Update = flag.Bool("update", false, "write the golden files anew")
	Pages  = flag.String("pages", "", "folder to write the sample pages into, to look at them")
)

// Gomega reads a real report: that of Gomega's own suites at one of its commits.
func Gomega(t *testing.T, commit string, read func(io.Reader, string) (*reports.Results, error)) *reports.Results {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "ingest", "testdata", "gomega-"+commit+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := read(z, "/src/gomega")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	March   = "2023-03-13-854f075"
	October = "2024-10-29-eeca931"
)

func Spec(leaf string, state reports.State) reports.Spec {
	s := reports.Spec{Suite: "suites/core", Containers: []string{"a pipeline", "after a crash"}, Leaf: leaf, Occurrence: 1, State: state,
		Attempts: 1, Duration: 12 * time.Millisecond, File: "suites/core/resume_test.go", Line: 41, Labels: []string{"crash"}}
	if state == reports.Failed {
		s.Message = "Expected\n    <int>: 4\nto equal\n    <int>: 5"
	}
	return s
}

// Results returns the results of n passed specs and the given ones.
func Results(n int, others ...reports.Spec) *reports.Results {
	r := &reports.Results{Suites: []reports.Suite{{Path: "suites/core", Description: "Core", Started: Noon, Duration: 2 * time.Second, Seed: 1795432086}}}
	for i := range n {
		r.Specs = append(r.Specs, Spec(fmt.Sprintf("resumes at step %d", i+1), reports.Passed))
	}
	r.Specs = append(r.Specs, others...)
	return r
}

var Noon = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)

// Comparison returns a comparison whose blocks vary around ratio.
func Comparison(workload string, ratio float64) harness.Comparison {
	c := harness.Comparison{
		Schema: 1, Workload: workload, Durability: "process", Started: Noon, Seconds: 0.84, Seed: 7130992,
		Plan: harness.Plan{Sessions: 24, Blocks: 5, Warmups: 8, Rounds: 10, Batch: map[string]int{harness.ArmBackend: 8, harness.ArmNone: 128}, SlowBy: 0.25},
		Environment: machine.Environment{Class: "linux-amd64-2cpu", OS: "linux", Arch: "amd64", Cores: 2, CPU: "AMD EPYC 7B13",
			Kernel: "6.8.0", Filesystem: "ext4", Go: "go1.26.0", SQLite: "v1.62.0"},
		CostRatio: Estimate(ratio, 0.013, "ratio"),
		Overhead:  Estimate(79.8, 0.02, "ratio"),
		Cost:      Estimate(212, 0.021, "us/run"),
		Injected:  Estimate(1.252, 0.006, "ratio"),
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

func Estimate(v, half float64, unit string) harness.Estimate {
	return harness.Estimate{Value: v, Low: v * (1 - half), High: v * (1 + half), Level: 0.95, N: 15, Of: "blocks", Unit: unit,
		Method: "20% trimmed mean of logs, Yuen's interval"}
}

func Verdict(workload string, outcome thresholds.Outcome, above int) thresholds.Verdict {
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
		v.Next = "find the change that made saves slower since the last passing run"
	case thresholds.Invalid:
		v.Reason = "the measurement is at fault, not the product: every save made: 0 of 33,600 saves found"
		v.Next = "mend what the audit found, then run again"
		v.Self[1].Got = thresholds.Held
	}
	return v
}

// The runs of golden files and pages.
func HeldRun() (reports.Run, []reports.Run) {
	run := reports.Run{ID: 12, Started: Noon, Seconds: 14.2, Commit: "9f3ab27c11d04e5f", Command: "flujo-harness run ./...",
		Suites: Results(40, Spec("resumes a loop", reports.Passed)), Comparisons: []harness.Comparison{Comparison("three-steps", 1.31)},
		Verdicts: []thresholds.Verdict{Verdict("three-steps", thresholds.Held, 0)}, Outcome: thresholds.Held, Complete: true}
	return run, Past(11)
}

func BrokenRun() (reports.Run, []reports.Run) {
	run, earlier := HeldRun()
	retried := Spec("survives kill -9", reports.Passed)
	retried.Retried, retried.Attempts, retried.Message = true, 3, "Timed out after 1.000s."
	broke := Spec("resumes at step 3", reports.Failed)
	broke.Attachments = []reports.Attachment{{Name: "screenshot.png", Type: "image/png", Path: "out/resumes/screenshot.png"}, {Name: "core dump"}}
	panicked := Spec("answers two humans at once", reports.Failed)
	panicked.Detail, panicked.Message = "panicked", "Test Panicked\nassignment to entry in nil map"
	run.Suites = Results(0, retried, broke, panicked, Spec("reads a newer file", reports.Skipped), Spec("talks to Postgres", reports.Pending))
	for i := range 36 {
		if i != 2 {
			run.Suites.Specs = append(run.Suites.Specs, Spec(fmt.Sprintf("resumes at step %d", i+1), reports.Passed))
		}
	}
	run.Comparisons[0] = Comparison("three-steps", 1.53)
	run.Verdicts[0] = Verdict("three-steps", thresholds.Broken, 15)
	run.Verdicts[0].Notes = []string{"judged by the limits of another class: linux-amd64-4cpu"}
	run.Outcome, run.ExitCode, run.Dirty = thresholds.Broken, 1, true
	return run, earlier
}

func InvalidRun() (reports.Run, []reports.Run) {
	run, _ := HeldRun()
	run.Suites, run.SuiteError = nil, "read Ginkgo JSON: it is cut short: unexpected EOF"
	run.Verdicts[0] = Verdict("three-steps", thresholds.Invalid, 0)
	run.Comparisons[0].Audit[1] = harness.Finding{Check: "every save made", Detail: "0 of 33,600 saves found by fresh connections"}
	run.Comparisons[0].Problem = "session 1: every save made: 0 of 33,600 saves found"
	run.Outcome, run.ExitCode = thresholds.Invalid, 3
	return run, nil
}

func BenchRun() (reports.Run, []reports.Run) {
	run, earlier := HeldRun()
	run.Suites = nil
	run.Command = "flujo-harness bench"
	for _, name := range []string{"fan-out of 8", "loop of 5", "one human", "long state", "nested"} {
		run.Comparisons = append(run.Comparisons, Comparison(name, 1.29))
		run.Verdicts = append(run.Verdicts, Verdict(name, thresholds.Held, 1))
	}
	return run, earlier
}

// Hostile is a long text with markup, a script, escape sequences and overrides of direction.
const Hostile = "</title><script>alert(1)</script>\x1b[31mred\u202egnp.exe\u2066\u200f\u061c\u009b \"'><img src=x onerror=alert(1)> javascript:alert(1)"

func HostileRun() (reports.Run, []reports.Run) {
	run, earlier := BrokenRun()
	bad := Spec(Hostile+strings.Repeat("w", 300), reports.Failed)
	bad.Suite, bad.Containers, bad.File, bad.Message, bad.Detail = Hostile, []string{Hostile}, Hostile, "line one\n"+Hostile, Hostile
	run.Suites.Specs = append(run.Suites.Specs, bad)
	run.Suites.Suites[0].Path = Hostile
	run.Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "BeforeSuite", Message: Hostile, File: Hostile, Line: 3}}
	run.Commit, run.Command = Hostile, Hostile
	c, v := &run.Comparisons[0], &run.Verdicts[0]
	c.Workload, v.Workload, c.Durability, v.Durability = Hostile, Hostile, Hostile, Hostile
	c.Problem, c.CostRatio.Method, c.CostRatio.Of, c.Environment.CPU = Hostile, Hostile, Hostile, Hostile
	c.Audit[0].Check, c.Audit[0].Detail = Hostile, Hostile
	v.Reason, v.Next, v.Source, v.Notes = Hostile, Hostile, Hostile, []string{Hostile}
	v.Self[0].Name, v.Self[0].Explain = Hostile, Hostile
	return run, earlier
}

// Past returns n earlier runs, newest first. The newest has no suites.
func Past(n int) []reports.Run {
	var runs []reports.Run
	for id := n; id > 0; id-- {
		r := reports.Run{ID: int64(id), Started: Noon.Add(time.Duration(id-n-1) * time.Hour), Commit: fmt.Sprintf("%07x", 0x1a2b3c0+id), Complete: true}
		switch {
		case id == n:
		case id%4 == 1:
			r.Suites, r.Outcome = Results(30+id/2, Spec("resumes a loop", reports.Failed), Spec("survives kill -9", reports.Failed)), thresholds.Broken
		default:
			r.Suites, r.Outcome = Results(30+id, Spec("resumes a loop", reports.Failed)), thresholds.Broken
		}
		runs = append(runs, r)
	}
	if n > 2 {
		runs[1].Suites, runs[1].Outcome = Results(40, Spec("resumes a loop", reports.Failed)), thresholds.Broken
	}
	return runs
}

var Samples = map[string]func() (reports.Run, []reports.Run){
	"held": HeldRun, "broken": BrokenRun, "invalid": InvalidRun, "bench": BenchRun, "hostile": HostileRun,
}

func Comparisons(n int) []harness.Comparison {
	var all []harness.Comparison
	for range n {
		all = append(all, Comparison("three-steps", 1.31))
	}
	return all
}

// CellsRun returns a run on day i: text is its commit, "+" if there are uncommitted changes, ":" and a
// character for each spec as in analysis.HeatRow.
func CellsRun(i int, text string) reports.Run {
	commit, cells, _ := strings.Cut(text, ":")
	commit, dirty := strings.CutSuffix(commit, "+")
	r := reports.Run{Started: Noon.AddDate(0, 0, i), Commit: commit, Dirty: dirty, Format: "Ginkgo JSON", Complete: true, Suites: &reports.Results{Suites: []reports.Suite{{Path: "shop"}}}}
	for k, c := range cells {
		s := reports.Spec{Suite: "shop", Containers: []string{"an order"}, Leaf: strings.Repeat(string(rune('a'+k)), 8), Occurrence: 1, Attempts: 1,
			State: reports.Passed, Duration: time.Second, File: "shop/order_test.go", Line: 10 + k}
		switch c {
		case ' ':
			continue
		case 'F':
			s.State, s.Message = reports.Failed, fmt.Sprintf("it is lost at %#x", 4096+i)
		case 's':
			s.State = reports.Skipped
		case 'p':
			s.State = reports.Pending
		case 'R':
			s.Retried, s.Attempts = true, 2
		case 'B':
			s.State, s.Detail, s.Attempts, s.Message = reports.Failed, reports.BothWays, 3, "failed in 1 of 3 runs"
		}
		r.Suites.Specs = append(r.Suites.Specs, s)
	}
	return r
}

func Cells(texts ...string) []reports.Run {
	var all []reports.Run
	for i, text := range texts {
		all = append(all, CellsRun(i, text))
	}
	return all
}

// LeakyRun returns a run with a secret in every field that a test or an agent can write.
func LeakyRun() (reports.Run, []reports.Run) {
	run, earlier := BrokenRun()
	said := "key " + Canaries[0] + "\nGITHUB " + Canaries[1] + " " + Canaries[2] + "\npassword = \"" + Canaries[3] + "\"\nAuthorization: Bearer " + Canaries[4]
	bad := Spec("calls the model with "+Canaries[0], reports.Failed)
	bad.Containers, bad.Labels = []string{"with " + Canaries[1]}, []string{Canaries[2]}
	bad.Message, bad.Detail, bad.Output = said, Canaries[0], said
	bad.Attachments = []reports.Attachment{{Name: Canaries[0] + ".txt", Path: "https://example.com/a?token=" + Canaries[1]}}
	before := Spec("a text before the one that gives it away: "+Canaries[3], reports.Passed)
	s := &run.Suites.Suites[0]
	s.Path, bad.Suite = "tests of "+Canaries[1], "tests of "+Canaries[1] // in JUnit XML, tests determine these texts
	s.Description, s.Failures = said, []reports.SuiteFailure{{Node: "BeforeSuite", Message: said, File: "a_test.go", Line: 3}}
	run.Suites.Specs = append([]reports.Spec{before, bad}, run.Suites.Specs...)
	run.Command, run.SuiteError = "flujo-harness run --token="+Canaries[0]+" --filter "+Canaries[3], said
	run.Comparisons[0].Problem = said
	run.Comparisons[0].Audit = append(run.Comparisons[0].Audit, harness.Finding{Check: "odd", Detail: said})
	run.Benchmarks = []reports.Benchmark{{Name: "Call/" + Canaries[0], Unit: "sec/op", Values: []float64{1}}}
	run.Verdicts[0].Reason, run.Verdicts[0].Next, run.Verdicts[0].Notes = said, said, []string{said}
	return run, earlier
}

func HoldsNoSecret(t *testing.T, what, text string) {
	t.Helper()
	for i, secret := range Canaries {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds secret %d", what, i)
		}
	}
}

// SeedRuns is a history with the counts of the seed's report: a run at the end of each
// of its four phases, the failures of which only ever become fewer. It is the same on
// every call.
func SeedRuns() []reports.Run {
	const total, skipped = 2283, 8
	runs := make([]reports.Run, len(SeedFailures))
	for i, failing := range SeedFailures {
		r := reports.Run{Started: SeedDay(i), Seconds: 94, Commit: seedCommits[i], Branch: "main", Key: fmt.Sprintf("phase %d", i+1), Format: "Ginkgo JSON",
			Command: "go tool ginkgo run ./...", Outcome: thresholds.Broken, ExitCode: 1, Complete: true, Suites: &reports.Results{}}
		suites := map[string]bool{}
		k := 0
		add := func(s reports.Spec) {
			s.Occurrence, s.Attempts, s.Line = 1, 1, 10+k
			s.Duration = time.Duration(1+k%37) * time.Millisecond
			s.File = s.Suite + "/suite_test.go"
			if s.State == reports.Skipped {
				s.Attempts, s.Duration = 0, 0
			}
			if !suites[s.Suite] {
				suites[s.Suite] = true
				r.Suites.Suites = append(r.Suites.Suites, reports.Suite{Path: s.Suite, Description: s.Suite, Started: r.Started, Duration: 20 * time.Second, Seed: 20250809})
			}
			r.Suites.Specs = append(r.Suites.Specs, s)
			k++
		}
		for j, s := range SeedFailing() {
			if j >= failing { // fixed by now
				s.State, s.Message = reports.Passed, ""
			}
			add(s)
		}
		for n := range skipped {
			add(reports.Spec{Suite: "tests/unit", Containers: []string{"an optional backend"}, Leaf: fmt.Sprintf("works with server %d", n+1), State: reports.Skipped, Message: "no server here"})
		}
		for n := SeedFailures[0] + skipped; n < total; n++ {
			add(reports.Spec{Suite: []string{"tests/unit", "tests/integration"}[n%2], Containers: []string{"a pipeline"}, Leaf: fmt.Sprintf("keeps its promise %d", n), State: reports.Passed})
		}
		runs[i] = r
	}
	return runs
}

// SeedFailing lists the 66 specs that fail at first; those that are fixed first come last.
func SeedFailing() []reports.Spec {
	var byKind [][]reports.Spec
	for i, kind := range seedKinds {
		var specs []reports.Spec
		for n := range kind.n {
			specs = append(specs, reports.Spec{Suite: kind.suite, Containers: []string{"phase work on " + kind.category}, Leaf: fmt.Sprintf("case %d of kind %d", n+1, i+1),
				State: reports.Failed, Message: kind.message, Labels: []string{"category:" + kind.category, "owner:team-" + strings.Fields(kind.category)[0]}})
		}
		byKind = append(byKind, specs)
	}
	var all []reports.Spec
	for _, i := range []int{5, 6, 7, 0, 1, 2, 3, 4} { // 53 stay, 6 are fixed in phase 4, 5 in phase 3, 2 in phase 2
		all = append(all, byKind[i]...)
	}
	return all
}

// SeedDay returns the end of phase i+1.
func SeedDay(i int) time.Time { return time.Date(2025, 8, 6+i, 18, 0, 0, 0, time.UTC) }

// SeedPlan is the seed's target and phases.
func SeedPlan() *reports.Plan {
	p := &reports.Plan{Target: 98.5}
	for i := range SeedFailures {
		p.Phases = append(p.Phases, reports.PlanPhase{Name: fmt.Sprintf("Phase %d", i+1), Until: SeedDay(i).Add(time.Hour)})
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

// The secrets are invented. They are concatenated here, so that scanners of this repository do not
// report them.
var Canaries = []string{
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
