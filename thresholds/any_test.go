package thresholds

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// executing returns a comparison whose runs executed the given numbers of instructions with the
// backend and 20,000 without it.
func executing(with ...float64) *harness.Comparison {
	n := len(with)
	return &harness.Comparison{Workload: "default", Durability: "process",
		Environment:  machine.Environment{Class: "linux-arm64-4cpu-unknown", Go: "go1.26.8", Arch: "amd64", SQLite: "v1.62.0"},
		Instructions: &harness.RunInstructions{Tool: "valgrind", With: with, Without: slices.Repeat([]float64{20_000}, n), Floor: slices.Repeat([]float64{350_000}, n)}}
}

// anyLimit returns a limit of 450,000 instructions with a margin of 5% for executing.
func anyLimit(t *testing.T) *File {
	t.Helper()
	l, err := CalibrateInstructions(executing(469_000, 470_000, 468_000, 469_500, 468_500, 469_200, 469_900), Order{Margin: 0.05, Commit: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	return &File{Schema: 1, Class: AnyClass, Limits: []Limit{l}, Path: "any.toml"}
}

func TestLimitsOfInstructionsJudgeAnyMachine(t *testing.T) {
	limits := anyLimit(t)
	if l := limits.Limits[0]; l.Baseline != 450_000 || l.Limit != 472_500 || l.Metric != MetricInstructions {
		t.Fatalf("limit %+v", l)
	}
	five := func(add float64) *harness.Comparison {
		return executing(469_000+add, 469_800+add, 468_600+add, 469_500+add, 469_200+add)
	}
	other := func(change func(*harness.Comparison)) *harness.Comparison {
		c := five(0)
		change(c)
		return c
	}
	for name, row := range map[string]struct {
		c    *harness.Comparison
		want Outcome
		says string
	}{
		"unchanged":                {five(0), Held, "instructions a run"},
		"a quarter of the margin":  {five(5_600), Held, ""},
		"a little cheaper":         {five(-8_000), Held, ""},
		"cheaper by the margin":    {five(-22_500), Inconclusive, "its limit is stale: durability executes "},
		"much cheaper":             {five(-120_000), Inconclusive, "only a slow-down of more than 40.1% would be noticed here, not one of 5%"},
		"the margin":               {five(23_000), Broken, "more instructions"},
		"twice the margin":         {five(46_000), Broken, "more instructions"},
		"few counts do not break":  {executing(493_000, 493_100), Inconclusive, "undecided"},
		"one count":                {executing(469_000), Inconclusive, "too few"},
		"counts that vary":         {executing(440_000, 470_000, 500_000, 450_000, 480_000), Inconclusive, "vary by 13% from process to process, more than the margin of 5%"},
		"counts that vary by it":   {executing(460_000, 470_000, 482_500), Inconclusive, "undecided"},
		"counts of nothing":        {executing(469_000, 20_000, 469_000), Invalid, "a count of 0"},
		"not a count":              {executing(469_000, 10_000, 469_000), Invalid, "a count of"},
		"not counted":              {other(func(c *harness.Comparison) { c.Instructions = nil }), Inconclusive, "not counted"},
		"no program that counts":   {other(func(c *harness.Comparison) { c.Instructions.Problem = "install valgrind" }), Inconclusive, "install valgrind"},
		"another Go":               {other(func(c *harness.Comparison) { c.Environment.Go = "go1.27" }), Inconclusive, "another Go: go1.26.8, and this is go1.27"},
		"another architecture":     {other(func(c *harness.Comparison) { c.Environment.Arch = "arm64" }), Inconclusive, "another architecture"},
		"another SQLite":           {other(func(c *harness.Comparison) { c.Environment.SQLite = "v1.63.0" }), Inconclusive, "another SQLite"},
		"a workload without limit": {other(func(c *harness.Comparison) { c.Workload = "loop" }), Inconclusive, "no limit of instructions"},
	} {
		if v := JudgeInstructions(row.c, limits); v.Outcome != row.want || !strings.Contains(v.Reason, row.says) {
			t.Errorf("%s: %s, %s; want %s, %q", name, v.Outcome, v.Reason, row.want, row.says)
		}
	}
	of := five(-120_000)
	of.Suite = "./flows"
	if v, want := JudgeInstructions(of, limits), "tighten it: flujo-harness calibrate --suite ./flows --write --margin 5 --instructions"; v.Next != want {
		t.Errorf("next %q, want %q", v.Next, want)
	}
	if v := JudgeInstructions(five(0), nil); v.Outcome != Inconclusive {
		t.Errorf("without limits: %+v", v)
	}
}

// The interval is that of Student's t with 4 degrees of freedom, whose 97.5% quantile is 2.776445
// in printed tables.
func TestFiguresOfJudgedInstructions(t *testing.T) {
	limits := anyLimit(t)
	l := limits.Limits[0]
	var with []float64
	for _, log := range []float64{-0.01, -0.005, 0, 0.005, 0.01} { // with a standard deviation of 0.0079057
		with = append(with, 20_000+1.01*l.Boundary()*math.Exp(log))
	}
	v := JudgeInstructions(executing(with...), limits)
	if v.Above != 4 || v.N != 5 { // the first is at 0.99995 of the boundary
		t.Errorf("%d of %d above", v.Above, v.N)
	}
	mid, half := 1.01*l.Boundary()/l.Baseline, 2.776445*0.0079057/math.Sqrt(5)
	for name, row := range map[string][2]float64{
		"value":   {v.Instructions.Value, mid},
		"low":     {v.Instructions.Low, mid * math.Exp(-half)},
		"high":    {v.Instructions.High, mid * math.Exp(half)},
		"notices": {v.Notices, 1/1.01 - 1},
	} {
		if math.Abs(row[0]-row[1]) > 1e-6 {
			t.Errorf("%s %v, want %v", name, row[0], row[1])
		}
	}
}

func TestMoreInstructionsAreCountedWhereTheyDecide(t *testing.T) {
	limits := anyLimit(t)
	undecided := []float64{481_100, 481_900, 480_300, 481_500, 480_700, 481_300, 480_900, 481_200, 481_000} // at the boundary
	for n, want := range map[int]bool{1: true, 5: true, 8: true, 9: false} {
		if got := MoreInstructions(executing(undecided[:n]...), limits); got != want {
			t.Errorf("%d counts: more %v, want %v", n, got, want)
		}
	}
	if MoreInstructions(executing(469_000, 469_500, 469_100), limits) {
		t.Error("counts that have decided want more")
	}
	if MoreInstructions(executing(369_000, 369_500, 369_100), limits) {
		t.Error("counts below a stale limit want more")
	}
	if MoreInstructions(executing(440_000, 500_000), limits) {
		t.Error("counts that vary by more than the margin want more: none can decide")
	}
}

// If the counts break, the verdict is broken. Otherwise a limit of the class decides, if there is
// one.
func TestOnAnyMachine(t *testing.T) {
	c := executing(469_000)
	own := &File{Class: c.Environment.Class, Limits: []Limit{{Workload: "default", Metric: MetricCostRatio, Durability: "process"}}}
	foreign := &File{Class: "linux-amd64-2cpu-amd-epyc", Limits: own.Limits}
	v := func(o Outcome) Verdict { return Verdict{Outcome: o, Reason: o.String()} }
	if got := OnAnyMachine(c, v(Inconclusive), foreign, Verdict{Stale: true, Reason: "stale"}); got.Reason != "stale" {
		t.Errorf("a stale limit is not said: %+v", got)
	}
	for _, row := range []struct {
		own         *File
		time, count Outcome
		want        Outcome
	}{
		{own, Held, Held, Held}, {own, Held, Broken, Broken}, {own, Held, Inconclusive, Held},
		{own, Broken, Held, Broken}, {own, Inconclusive, Held, Inconclusive}, {own, Invalid, Broken, Invalid},
		{foreign, Inconclusive, Held, Held}, {foreign, Inconclusive, Broken, Broken}, {foreign, Held, Inconclusive, Held},
		{foreign, Inconclusive, Inconclusive, Inconclusive}, {nil, Inconclusive, Held, Held}, {nil, Broken, Held, Broken},
	} {
		got := OnAnyMachine(c, v(row.time), row.own, v(row.count))
		if got.Outcome != row.want {
			t.Errorf("own limits %v, by class %s, by count %s: %s, want %s", row.own, row.time, row.count, got.Outcome, row.want)
		}
		if got.Outcome != row.time && !slices.Contains(got.Notes, row.time.String()) {
			t.Errorf("by class %s is not said: %q", row.time, got.Notes)
		}
	}
}

func TestCountsThatMakeNoLimit(t *testing.T) {
	seven := []float64{469_000, 470_000, 468_000, 469_500, 468_500, 469_200, 469_900}
	failed := executing(seven...)
	failed.Instructions.Problem = "killed"
	for name, row := range map[string]struct {
		c      *harness.Comparison
		margin float64
		says   string
	}{
		"few":            {executing(seven[:6]...), 0.05, "6 counts"},
		"none":           {&harness.Comparison{}, 0.05, "not counted"},
		"failed":         {failed, 0.05, "killed"},
		"a small margin": {executing(seven...), 0.001, "by 0.45% from process to process: use a margin of 0.445% or more"},
		"no margin":      {executing(seven...), 0, "margin 0"},
	} {
		if _, err := CalibrateInstructions(row.c, Order{Margin: row.margin}); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v, want %q", name, err, row.says)
		}
	}
	for _, margin := range []float64{0.05, 1} { // counts that vary by 5%
		varied := executing(460_000, 462_000, 466_000, 470_000, 480_000, 482_000, 482_500)
		if !CountsForLimit(&harness.RunInstructions{With: varied.Instructions.With[:6]}) || CountsForLimit(varied.Instructions) {
			t.Error("a limit is not made from 7 counts")
		}
		if _, err := CalibrateInstructions(varied, Order{Margin: margin}); err != nil {
			t.Errorf("a margin of %v: %v", margin, err)
		}
	}
	if _, err := CalibrateInstructions(executing(seven...), Order{Margin: 0.001}); !errors.Is(err, ErrSpread) {
		t.Errorf("error %v", err)
	}
}

// Limits for any machine are never used as limits of another class. They have a ledger, too.
func TestTheFileForAnyMachine(t *testing.T) {
	dir := t.TempDir()
	f := anyLimit(t)
	limit := f.Limits[0]
	f.Limits, f.Path = nil, filepath.Join(dir, "any.toml")
	if err := f.Apply(f.Compare(limit), "", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(dir, AnyClass); err != nil || got == nil || got.Find("default", MetricInstructions, "process") == nil || len(got.Ledger) != 1 {
		t.Errorf("read back %+v, error %v", got, err)
	}
	if got, err := Load(dir, "linux-amd64-2cpu-amd-epyc"); got != nil || err != nil {
		t.Errorf("limits for any machine stand for those of a class: %+v, %v", got, err)
	}
	looser := limit
	looser.Baseline, looser.Limit = 2*limit.Baseline, 2*limit.Limit
	if err := f.Apply(f.Compare(looser), "", "", time.Now()); !errors.Is(err, ErrSilentLoosening) {
		t.Errorf("a loosening without a reason: %v", err)
	}
	text, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.ReplaceAll(string(text), "'any'", "'linux'")
	if err := os.WriteFile(filepath.Join(dir, "linux.toml"), []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, "linux"); err == nil || !strings.Contains(err.Error(), "unknown metric") {
		t.Errorf("a limit of instructions in the file of a class: %v", err)
	}
	if got, err := Load(t.TempDir(), AnyClass); got != nil || err != nil {
		t.Errorf("no file: %+v, %v", got, err)
	}
}

// A class without a limit of its own is judged by the limit for any machine; without valgrind the
// verdict says how to get it.
func TestInstructionsAreCountedWhereTheyDecide(t *testing.T) {
	limits := anyLimit(t)
	workload, durability := limits.Limits[0].Workload, limits.Limits[0].Durability
	mine := &File{Class: machine.Class(), Limits: []Limit{{Workload: workload, Metric: MetricCostRatio, Durability: durability}}}
	j := func(o Outcome) *Judged {
		c := executing()
		c.Instructions = nil
		return &Judged{Comparison: c, Verdict: Verdict{Outcome: o, Reason: "no limit exists for it"}}
	}
	for name, tc := range map[string]struct {
		j        *Judged
		own, any *File
		always   bool
		want     bool
	}{
		"no limit of this class":   {j(Inconclusive), nil, limits, false, true},
		"a limit of this class":    {j(Held), mine, limits, false, false},
		"a limit of counts":        {j(Held), &File{Class: machine.Class(), Limits: []Limit{{Workload: workload, Metric: MetricCounts, Durability: durability}}}, limits, false, false},
		"asked for":                {j(Held), mine, limits, true, true},
		"no limit for any machine": {j(Inconclusive), nil, nil, false, false},
		"broken":                   {j(Broken), nil, limits, true, false},
		"nothing measured":         {&Judged{}, nil, limits, true, false},
	} {
		if got := tc.j.NeedsCount(tc.own, tc.any, tc.always); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, tc := range map[string]struct {
		ctx context.Context
		any *File
	}{"without limits": {t.Context(), nil}, "interrupted": {stopped, limits}} {
		one := j(Inconclusive)
		if one.Count(tc.ctx, harness.Spec{}, nil, tc.any, nil); len(one.Verdict.Notes) != 0 {
			t.Errorf("%s: %v, notes %q", name, one.Verdict, one.Verdict.Notes)
		}
	}
	one := j(Inconclusive)
	one.Count(t.Context(), harness.Spec{}, nil, limits, nil)
	if v := one.Verdict; v.Outcome != Inconclusive || !strings.Contains(strings.Join(v.Notes, "; "), "install valgrind") {
		t.Errorf("%v, notes %q", v, v.Notes)
	}
}
