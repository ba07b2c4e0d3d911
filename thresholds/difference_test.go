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
