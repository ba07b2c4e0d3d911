package thresholds

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness"
)

// apart returns a difference whose head takes ratio times as long as the base, and whose twin
// differs by the factor twin.
func apart(sessions int, ratio, twin, slow float64) *harness.Difference {
	rng := rand.New(rand.NewPCG(7, 8))
	noise := func() float64 { return math.Exp(0.01 * rng.NormFloat64()) }
	d := &harness.Difference{Name: "sort", Base: "old", Head: "new", Complete: true, Audit: []harness.Finding{{Check: "equal work", OK: true}}}
	for s := 1; s <= sessions; s++ {
		for range 6 {
			b := harness.DifferenceBlock{Session: s, Ratio: ratio * noise(), Twin: twin * noise(), BaseNS: 100, HeadNS: 100 * ratio}
			if slow != 0 {
				b.Slow = ratio * slow * noise()
			}
			d.Blocks = append(d.Blocks, b)
		}
	}
	d.Ratio = harness.Estimate{Value: ratio, Low: ratio * 0.99, High: ratio * 1.01, N: len(d.Blocks), Of: "blocks"}
	return d
}

func TestDifferencesAreJudged(t *testing.T) {
	bad := apart(3, 1, 1, 1.25)
	bad.Problem = `session 1: subject "new": boom`
	mute := apart(3, 1, 1, 1.25)
	mute.Audit = nil
	counted := func(unit string, base, head, noise float64) *harness.Difference {
		d := apart(3, 1, 1, 1.25)
		d.Counts = []harness.Count{{Unit: unit, BaseLow: base, BaseHigh: base + noise, HeadLow: head, HeadHigh: head + noise, Base: 36, Head: 18}}
		return d
	}
	skipped, fails := apart(0, 1, 1, 1), apart(0, 1, 1, 1)
	skipped.NotCompared, fails.HeadFails = "no result was printed", "exit status 1"
	metricOnly := counted("allocs/op", 2, 3, 0)
	metricOnly.NotCompared, metricOnly.Blocks = "it prints no ns/op", nil
	single := apart(1, 1.5, 1, 1.25)
	single.Blocks = single.Blocks[:1]
	whole := map[string]Verdict{}
	for name, tc := range map[string]struct {
		d      *harness.Difference
		margin float64
		family int
		want   Outcome
		says   string
	}{
		"the same":                  {apart(3, 1, 1, 1.25), 0.1, 1, Held, "not slower by 10%"},
		"slower":                    {apart(3, 1.1, 1, 1.25), 0.1, 1, Broken, "slower: 12 of 12"},
		"faster":                    {apart(3, 0.5, 1, 1.25), 0.1, 1, Held, "not slower"},
		"at the boundary":           {apart(3, math.Sqrt(1.1), 1, 1.25), 0.1, 1, Inconclusive, "decides nothing"},
		"one block":                 {single, 0.1, 1, Inconclusive, "too little was measured: 1 block of at least "},
		"slower, one of many":       {apart(2, 1.1, 1, 1.25), 0.1, 100, Inconclusive, "decides nothing"},
		"slower, one of many, long": {apart(4, 1.1, 1, 1.25), 0.1, 100, Broken, "slower"},
		"arms of the pair differ":   {apart(3, 1, 1.2, 1.25), 0.1, 1, Invalid, "A/A pair was broken"},
		"nothing injected":          {apart(3, 1, 1, 1), 0.1, 1, Invalid, "injected slow-down was held"},
		"no self-check in samples":  {apart(3, 1, 0, 0), 0.1, 1, Held, "not slower"},
		"a subject fails":           {bad, 0.1, 1, Invalid, "boom"},
		"no audit":                  {mute, 0.1, 1, Invalid, "no audit"},
		"nothing measured":          {apart(0, 1, 1, 1), 0.1, 1, Inconclusive, "nothing was measured"},
		"one object more":           {counted("allocs/op", 2, 3, 0), 0.1, 1, Broken, "counts more: allocs/op 2 -> 3 in each of 18 processes"},
		"one object less":           {counted("allocs/op", 3, 2, 0), 0.1, 1, Held, ""},
		"as many objects":           {counted("allocs/op", 2, 2, 0), 0.1, 1, Held, ""},
		"bytes at the margin":       {counted("B/op", 1000, 1500, 0), 0.5, 1, Held, ""},
		"the smallest object more":  {counted("B/op", 8, 16, 0), 0.5, 1, Broken, "B/op 8 -> 16"},
		"objects that vary":         {counted("allocs/op", 2, 3, 1), 0.1, 1, Held, ""},
		"more bytes":                {counted("B/op", 64, 4096, 1), 0.1, 1, Broken, "B/op"},
		"bytes within the margin":   {counted("B/op", 1000, 1050, 1), 0.1, 1, Held, ""},
		"a byte by rounding":        {counted("B/op", 0, 1, 0), 0.1, 1, Held, ""},
		"figures of others":         {counted("fsyncs/op", 10, 100, 0), 0.1, 1, Held, ""},
		"skipped":                   {skipped, 0.1, 1, Inconclusive, "no result was printed"},
		"fails at head only":        {fails, 0.1, 1, Broken, "it fails, and did not before: exit status 1"},
		"objects without a time":    {metricOnly, 0.1, 1, Broken, "counts more"},
		"margin":                    {apart(3, 1, 1, 1.25), math.NaN(), 1, Invalid, "a margin of NaN"},
		"family":                    {apart(3, 1, 1, 1.25), 0.1, 0, Invalid, "over 0 differences"},
	} {
		t.Run(name, func(t *testing.T) {
			v := JudgeDifference(tc.d, tc.margin, tc.family)
			if whole[name] = v; math.IsNaN(tc.margin) {
				delete(whole, name) // JSON has no NaN
			}
			if v.Outcome != tc.want || !strings.Contains(v.Reason, tc.says) || v.Next == "" {
				t.Errorf("%v: %s (next %q); want %v with %q", v.Outcome, v.Reason, v.Next, tc.want, tc.says)
			}
		})
	}
	goldenJSON(t, "differences.golden.json", whole)
	// Exactly at the bound: a slowed copy can still be within the boundary, so the injection proves
	// nothing, and head does not count as faster yet.
	within, faster := apart(3, 0.5, 1, 1.25), apart(3, 0.5, 1, 1.25)
	within.Ratio.High, faster.Ratio.High = 1/math.Sqrt(1.1), 1/1.1
	if v := JudgeDifference(within, 0.1, 1); len(v.Self) != 1 {
		t.Errorf("self-check %+v", v.Self)
	}
	if v := JudgeDifference(faster, 0.1, 1); len(v.Notes) != 0 {
		t.Errorf("notes %q", v.Notes)
	}
	if v := JudgeDifference(apart(3, 0.5, 1, 1.25), 0.1, 1); len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "new is faster") {
		t.Errorf("notes %q", v.Notes)
	}
}

func TestMarginsOfDifferences(t *testing.T) {
	for margin, invalid := range map[float64]bool{-0.1: true, 0: true, 0.01: false, 1: false, 1.01: true} {
		if v := JudgeDifference(apart(3, 1, 1, 0), margin, 1); (v.Outcome == Invalid) != invalid {
			t.Errorf("%v: %v: %s", margin, v.Outcome, v.Reason)
		}
	}
}

func TestAFailedAuditIsTheProblem(t *testing.T) {
	d := apart(3, 1, 1, 0)
	d.Audit = append(d.Audit, harness.Finding{Check: "same answers", Detail: "old 3, new 4"}, harness.Finding{Check: "order"})
	if got := problemOf(d); !strings.Contains(got, "same answers: old 3, new 4") {
		t.Error(got)
	}
	d.Problem = "boom"
	if got := problemOf(d); !strings.Contains(got, "boom") {
		t.Error(got)
	}
}

// Instructions that break decide unless head is faster by as much as the margin's boundary. If the
// A/A pair is broken, instructions decide, even if the interval of the times is above the boundary.
// If only times or only instructions are judged, the others never decide.
func TestWhatDecidesAtItsBounds(t *testing.T) {
	bound := math.Sqrt(1.02)
	interval := func(d *harness.Difference, low, high float64) *harness.Difference {
		d.Ratio.Low, d.Ratio.High = low, high
		return d
	}
	biased := func() *harness.Difference { return executes(interval(apart(3, 1.05, 1.2, 0), 1.04, 1.06), 3, 1, 0.001) }
	more := func(high float64) *harness.Difference {
		return executes(interval(undecidedTimes(), 0.9, high), 5, 1.05, 0.001)
	}
	waits := func(share float64) *harness.Difference {
		d := undecidedTimes()
		d.Blocks = append(d.Blocks, d.Blocks...)
		for i := range d.Blocks {
			d.Blocks[i].CPU = 1
		}
		d.Instructions = &harness.Instructions{Waits: share, Problem: "too long"}
		return d
	}
	layouts := executes(apart(3, 1.1, 1, 0), 3, 1, 0.001)
	layouts.Layouts = []float64{bound, bound}
	untimed := apart(3, 1, 1, 0)
	untimed.Untimed = "its floor is bistable"
	least, clocks := undecidedTimes(), undecidedTimes()
	least.Blocks = least.Blocks[:6] // six above the boundary are evidence of 30, five of 16, and 1/beta is 20
	for i := range clocks.Blocks {
		clocks.Blocks[i].CPU = 1
	}
	for name, tc := range map[string]struct {
		d    *harness.Difference
		by   string
		want Outcome
		who  string
		says string
	}{
		"more instructions, hardly less time":   {more(1), "", Broken, ByInstructions, ""},
		"the same, at the bound":                {more(1 / bound), "", Broken, ByInstructions, ""},
		"the same, beyond it":                   {more(0.98), "", Inconclusive, ByInstructions, "no more time"},
		"fewer instructions, undecided time":    {executes(undecidedTimes(), 5, 0.95, 0.001), "", Held, ByInstructions, ""},
		"fewer instructions, as much time":      {executes(apart(8, 1, 1, 0), 5, 0.95, 0.001), "", Held, ByTime, ""},
		"as many instructions, by time":         {executes(undecidedTimes(), 3, 1, 0.001), ByTime, Inconclusive, ByTime, ""},
		"a bias, and times lean":                {biased(), "", Held, ByInstructions, ""},
		"a bias, by time":                       {biased(), ByTime, Invalid, ByTime, ""},
		"times lean at the boundary":            {executes(interval(undecidedTimes(), bound, 1.1), 3, 1, 0.001), "", Held, ByInstructions, ""},
		"times lean beyond it":                  {executes(interval(undecidedTimes(), 1.011, 1.1), 3, 1, 0.001), "", Inconclusive, ByTime, ""},
		"layouts lean at the boundary":          {layouts, "", Held, ByInstructions, ""},
		"waits as much as an operation may":     {waits(mostWaiting), "", Held, ByTime, ""},
		"no time, no valgrind, no counts":       {untimed, "", Inconclusive, ByInstructions, "its time is not judged"},
		"as many blocks as decide at the least": {least, "", Inconclusive, ByTime, "decides nothing"},
	} {
		if v := (Judging{Margin: 0.02, Family: 1, By: tc.by}).Judge(tc.d); v.Outcome != tc.want || v.By != tc.who || !strings.Contains(v.Reason, tc.says) {
			t.Errorf("%s: %v by %q: %s; want %v by %q with %q", name, v.Outcome, v.By, v.Reason, tc.want, tc.who, tc.says)
		}
	}
	if j := (Judging{Family: 3}); j.toBreak(least) != 3/alpha || j.toBreak(clocks) != 6/alpha {
		t.Errorf("one clock %v, two %v", j.toBreak(least), j.toBreak(clocks))
	}
}

// That a difference is one of the layout is a note of what held.
func TestALayoutIsNoted(t *testing.T) {
	for over, want := range map[float64]bool{0.99: true, 1.1: false} {
		d := apart(3, 1.1, 1, 0)
		d.Layouts = []float64{over, over, over, over}
		v := JudgeDifference(d, 0.02, 1)
		if got := strings.Contains(strings.Join(v.Notes, "; "), "slower in this layout of the binary only"); got != want {
			t.Errorf("other layouts %v: %v, notes %q", over, v, v.Notes)
		}
	}
}

func TestCountsAtTheirBounds(t *testing.T) {
	for name, tc := range map[string]struct {
		unit                               string
		baseLow, baseHigh, headLow, headHi float64
		worse, noted                       bool
	}{
		"lower, at the margin":          {"lower", 8, 10, 15, 20, false, false},
		"lower, beyond it":              {"lower", 8, 10, 15.5, 20, true, false},
		"lower, head alone varies":      {"lower", 10, 10, 11, 12, false, false},
		"lower, base alone varies":      {"lower", 9, 10, 11, 11, false, false},
		"higher, as many":               {"higher", 10, 10, 10, 10, false, false},
		"higher, fewer":                 {"higher", 10, 10, 9, 9, true, false},
		"higher, at the margin":         {"higher", 15, 16, 9, 10, false, false},
		"higher, beyond it":             {"higher", 15, 16, 8, 9, true, false},
		"unknown, as many":              {"fsyncs/op", 10, 10, 10, 10, false, false},
		"unknown, more":                 {"fsyncs/op", 10, 10, 11, 11, false, true},
		"unknown, varies":               {"fsyncs/op", 10, 12, 20, 30, false, false},
		"objects, base varies":          {"allocs/op", 1, 2, 3, 3, false, false},
		"objects, as many at the least": {"allocs/op", 2, 2, 2, 3, false, false},
	} {
		j := Judging{Margin: 0.5, Lower: []string{"lower"}, Higher: []string{"higher"}}
		more, _, notes := j.counts([]harness.Count{{Unit: tc.unit, BaseLow: tc.baseLow, BaseHigh: tc.baseHigh, HeadLow: tc.headLow, HeadHigh: tc.headHi, Base: 3, Head: 3}})
		if len(more) > 0 != tc.worse || len(notes) > 0 != tc.noted {
			t.Errorf("%s: worse %q, notes %q", name, more, notes)
		}
	}
	for by, want := range map[string]Outcome{"": Broken, ByCounts: Broken, ByTime: Held} {
		d := apart(8, 1, 1, 0)
		d.Counts = []harness.Count{{Unit: "allocs/op", BaseLow: 2, BaseHigh: 2, HeadLow: 3, HeadHigh: 3, Base: 3, Head: 3}}
		if v := (Judging{Margin: 0.1, Family: 1, By: by}).Judge(d); v.Outcome != want {
			t.Errorf("an object more, judged by %q: %v", by, v)
		}
	}
}
