package thresholds

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness"
)

// executes adds n counts of instructions per side to a difference, with standard deviation sd.
func executes(d *harness.Difference, n int, ratio, sd float64) *harness.Difference {
	rng := rand.New(rand.NewPCG(3, 4))
	c := &harness.Instructions{Tool: "valgrind", Ops: 1000}
	for range n {
		c.Base = append(c.Base, 50_000*math.Exp(sd*rng.NormFloat64()))
		c.Head = append(c.Head, 50_000*ratio*math.Exp(sd*rng.NormFloat64()))
	}
	d.Instructions = c
	return d
}

// undecidedTimes returns a difference whose times are inconclusive.
func undecidedTimes() *harness.Difference {
	d := apart(2, 1, 1, 0)
	for i := range d.Blocks {
		d.Blocks[i].Ratio = []float64{0.9, 1.1}[i%2]
	}
	d.Ratio = harness.Estimate{Value: 1, Low: 0.9, High: 1.1}
	return d
}

func TestTimeAndInstructionsMakeOneVerdict(t *testing.T) {
	biased := func() *harness.Difference { return apart(3, 1, 1.2, 0) }
	layouts := func(ratios ...float64) *harness.Difference {
		d := executes(apart(3, 1.1, 1, 0), 5, 1, 0.001)
		d.Layouts = ratios
		return d
	}
	failed := undecidedTimes()
	failed.Instructions = &harness.Instructions{Problem: "it cannot be run under valgrind"}
	equal := undecidedTimes()
	equal.Instructions = failed.Instructions
	equal.Counts = []harness.Count{{Unit: "allocs/op", BaseLow: 2, BaseHigh: 2, HeadLow: 2, HeadHigh: 2, Base: 36, Head: 18}}
	cpu := func(ratio, waits float64) *harness.Difference {
		d := undecidedTimes()
		for i := range d.Blocks {
			d.Blocks[i].CPU = ratio * (1 + 0.001*float64(i%3))
		}
		d.Blocks = append(d.Blocks, d.Blocks...)
		d.Instructions = &harness.Instructions{Waits: waits, Problem: "too long"}
		return d
	}
	longer := func(low, value float64) *harness.Difference {
		d := cpu(1, 0)
		d.Ratio = harness.Estimate{Value: value, Low: low, High: 1.2}
		return d
	}
	for name, tc := range map[string]struct {
		d    *harness.Difference
		by   string
		want Outcome
		who  string
		says string
	}{
		"unchanged, times decide nothing":          {executes(undecidedTimes(), 3, 1, 0.001), "", Held, ByInstructions, "not more instructions by 2%"},
		"+2%, times decide nothing":                {executes(undecidedTimes(), 5, 1.02, 0.001), "", Broken, ByInstructions, "more instructions"},
		"+2%, three counts may be chance":          {executes(undecidedTimes(), 3, 1.02, 0.0001), "", Inconclusive, ByTime, "after 3 counts"},
		"+2%, which is within what passes at 5%":   {executes(undecidedTimes(), 5, 1.009, 0.001), "", Inconclusive, ByTime, "decide nothing"},
		"counts that vary more than the margin":    {executes(undecidedTimes(), 9, 1.02, 0.03), "", Inconclusive, ByTime, "vary by "},
		"more instructions, and less time":         {executes(apart(3, 0.9, 1, 0), 5, 1.05, 0.001), "", Inconclusive, ByInstructions, "no more time"},
		"more instructions, and as much time":      {executes(apart(8, 1, 1, 0), 5, 1.05, 0.001), "", Inconclusive, ByInstructions, "no more time"},
		"the same, by instructions":                {executes(apart(3, 1, 1, 0), 5, 1.05, 0.001), ByInstructions, Broken, ByInstructions, "more instructions"},
		"the same, by time":                        {executes(apart(8, 1, 1, 0), 5, 1.05, 0.001), ByTime, Held, ByTime, "not slower"},
		"more time, and fewer instructions":        {executes(apart(3, 1.1, 1, 0), 5, 0.95, 0.001), "", Inconclusive, ByTime, "fewer instructions"},
		"the same, by time alone":                  {executes(apart(3, 1.1, 1, 0), 5, 0.95, 0.001), ByTime, Broken, ByTime, "slower"},
		"more time, and hardly fewer instructions": {executes(apart(3, 1.1, 1, 0), 5, 0.995, 0.001), "", Broken, ByTime, "slower"},
		"more time, and as many instructions":      {executes(apart(3, 1.1, 1, 0), 5, 1, 0.001), "", Broken, ByTime, "slower"},
		"the same in every layout":                 {layouts(1.09, 1.1, 1.11, 1.1), "", Broken, ByTime, "slower: in other orders of the functions the ratio is 1.1 (1.087 to 1.113, 95%, n=4 layouts); in this order "},
		"not in other layouts":                     {layouts(0.99, 1, 0.99, 1), "", Held, ByTime, "in other orders of the functions the ratio is 0.995 (0.9858 to 1.004, 95%, n=4 layouts); in this order "},
		"more time, and more instructions":         {executes(apart(3, 1.2, 1, 0), 5, 1.05, 0.001), "", Broken, ByTime, "slower: 12 of 12 blocks"},
		"in some layouts":                          {layouts(0.95, 1.1, 1.1, 0.97), "", Inconclusive, ByTime, ", too near the boundary 1.01 to decide"},
		"in some layouts, not on average":          {layouts(0.95, 1.04, 1.04, 0.97), "", Held, ByInstructions, ", too near the boundary 1.01 to decide"},
		"a bias of the place, and no instructions": {biased(), "", Invalid, ByTime, "A/A pair was broken"},
		"a bias of the place, and instructions":    {executes(biased(), 3, 1, 0.001), "", Held, ByInstructions, ""},
		"a bias, and more instructions":            {executes(biased(), 5, 1.05, 0.001), "", Broken, ByInstructions, ""},
		"not counted":                              {failed, "", Inconclusive, ByTime, "cannot be run under valgrind"},
		"not counted, as many objects":             {equal, "", Inconclusive, ByTime, "cannot be run under valgrind"},
		"more of the processor's time":             {cpu(1.1, 1), "", Broken, ByTime, "of the processor's time"},
		"as much of the processor's time":          {cpu(1, 0), "", Held, ByTime, ""},
		"as much of it, and more time":             {longer(1.011, 1.015), "", Inconclusive, ByTime, ""},
		"as much of it, and more time by chance":   {longer(0.9, 1.021), "", Inconclusive, ByTime, ""},
		"as much of it, and about as much time":    {longer(0.9, 1.019), "", Held, ByTime, ""},
		"as much, of what waits":                   {cpu(1, 0.9), "", Inconclusive, ByTime, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := Judging{Margin: 0.02, Family: 1, By: tc.by}.Judge(tc.d)
			if v.Outcome != tc.want || v.By != tc.who || !strings.Contains(v.Reason, tc.says) {
				t.Errorf("%v by %q: %s; want %v by %q with %q", v.Outcome, v.By, v.Reason, tc.want, tc.who, tc.says)
			}
		})
	}
}

// An undecided A/A pair is only a note, because the sign test does not assume a small variance.
func TestAnUndecidedPairIsNoVeto(t *testing.T) {
	d := apart(3, 2, 1, 0)
	for i := range d.Blocks {
		d.Blocks[i].Twin = []float64{0.8, 1.25}[i%2]
	}
	if v := JudgeDifference(d, 0.05, 1); v.Outcome != Broken || !strings.Contains(strings.Join(v.Notes, " "), "undecided") {
		t.Errorf("%v: %s, notes %q", v.Outcome, v.Reason, v.Notes)
	}
}

// An undecided injected slow-down proves nothing: times that would hold do not. A break stands.
func TestAnUndecidedInjectionHoldsNothing(t *testing.T) {
	for _, tc := range []struct {
		ratio float64
		slow  [2]float64 // in turns
		want  Outcome
	}{
		{1, [2]float64{1.25, 1.3}, Held},
		{1, [2]float64{0.8, 1.3}, Inconclusive},
		{1.2, [2]float64{0.8, 1.3}, Broken},
	} {
		d := apart(3, tc.ratio, 1, 1.25)
		for i := range d.Blocks {
			d.Blocks[i].Slow = tc.slow[i%2]
		}
		if v := JudgeDifference(d, 0.1, 1); v.Outcome != tc.want {
			t.Errorf("ratio %v, slowed copies %v: %v: %s; want %v", tc.ratio, tc.slow, v.Outcome, v.Reason, tc.want)
		}
	}
}

// A benchmark without a time can be judged by its counts, if that is asked for and it has some.
func TestBenchmarksWithoutATime(t *testing.T) {
	for _, tc := range []struct {
		unit, by string
		want     Outcome
		says     string
	}{
		{"allocs/op", ByCounts, Held, "it counts no more: allocs/op"},
		{"fsyncs/op", ByCounts, Inconclusive, "it prints no time"},
		{"allocs/op", ByTime, Inconclusive, "it prints no time"},
		{"allocs/op", "", Inconclusive, "it prints no time"},
	} {
		d := apart(0, 1, 1, 0)
		d.NotCompared = "it prints no time"
		d.Counts = []harness.Count{{Unit: tc.unit, BaseLow: 2, BaseHigh: 2, HeadLow: 2, HeadHigh: 2, Base: 2, Head: 1}}
		if v := (Judging{Margin: 0.1, Family: 1, By: tc.by}).Judge(d); v.Outcome != tc.want || !strings.Contains(v.Reason, tc.says) {
			t.Errorf("%s by %q: %v: %s; want %v with %q", tc.unit, tc.by, v.Outcome, v.Reason, tc.want, tc.says)
		}
	}
}

// The direction of a figure is known by its unit or given by Lower and Higher.
func TestDirectionsOfFigures(t *testing.T) {
	figure := func(unit string, base, head, noise float64) *harness.Difference {
		d := apart(3, 1, 1, 0)
		d.Counts = []harness.Count{{Unit: unit, BaseLow: base, BaseHigh: base + noise, HeadLow: head, HeadHigh: head + noise, Base: 36, Head: 18}}
		return d
	}
	for name, tc := range map[string]struct {
		d    *harness.Difference
		j    Judging
		want Outcome
		note string
	}{
		"unknown, rises":        {figure("fsyncs/op", 10, 11, 0), Judging{}, Held, "--lower fsyncs/op"},
		"lower, rises":          {figure("fsyncs/op", 10, 10.5, 0), Judging{Lower: []string{"fsyncs/op"}}, Broken, ""},
		"lower, falls":          {figure("fsyncs/op", 10, 9, 0), Judging{Lower: []string{"fsyncs/op"}}, Held, ""},
		"lower, varies within":  {figure("p99-ns", 100, 105, 2), Judging{Lower: []string{"p99-ns"}}, Held, ""},
		"lower, varies beyond":  {figure("p99-ns", 100, 125, 2), Judging{Lower: []string{"p99-ns"}}, Broken, ""},
		"higher, falls":         {figure("hits/op", 10, 9, 0), Judging{Higher: []string{"hits/op"}}, Broken, ""},
		"higher, varies within": {figure("MB/s", 100, 95, 2), Judging{Higher: []string{"MB/s"}}, Held, ""},
		"higher, varies beyond": {figure("MB/s", 100, 80, 2), Judging{Higher: []string{"MB/s"}}, Broken, ""},
		"by counts alone":       {figure("fsyncs/op", 10, 10, 0), Judging{By: ByCounts, Lower: []string{"fsyncs/op"}}, Held, ""},
		"by no counts":          {figure("fsyncs/op", 10, 10, 0), Judging{By: ByCounts}, Inconclusive, ""},
	} {
		tc.j.Margin, tc.j.Family = 0.1, 1
		if v := tc.j.Judge(tc.d); v.Outcome != tc.want || !strings.Contains(strings.Join(v.Notes, " "), tc.note) {
			t.Errorf("%s: %v: %s, notes %q", name, v.Outcome, v.Reason, v.Notes)
		}
	}
}

// often returns a difference with n times its sessions.
func often(d *harness.Difference, n int) *harness.Difference {
	one := d.Blocks
	for i := 1; i < n; i++ {
		for _, b := range one {
			b.Session += i * len(one)
			d.Blocks = append(d.Blocks, b)
		}
	}
	return d
}

// relinked returns a difference with 12 other layouts, whose ratios vary by 1%.
func relinked(d *harness.Difference, ratio float64) *harness.Difference {
	for i := range 12 {
		d.Layouts = append(d.Layouts, ratio*(1+0.01*float64(i%3-1)))
	}
	return d
}

// The ratio of a verdict is that of the layouts where they decide, whatever that of the blocks.
func TestRatioIsOfWhatDecided(t *testing.T) {
	const margin = 0.02
	decided := relinked(often(undecidedTimes(), 5), 1.03)
	for name, tc := range map[string]struct {
		d     *harness.Difference
		of    string
		least float64
	}{"blocks": {often(apart(12, 0.98, 1, 0), 5), "blocks", 0.97}, "layouts": {decided, "layouts", 1.02}} {
		v := Judging{Margin: margin, Family: 1, By: ByTime}.Judge(tc.d)
		if v.Ratio == nil || v.Ratio.Of != tc.of || v.Ratio.Value < tc.least || v.Ratio.Value > tc.least+0.02 || !v.Ratio.Bounded() {
			t.Errorf("%s: %v: ratio %v, %s", name, v.Outcome, v.Ratio, v.Reason)
		}
	}
}

// Times that say nothing after many blocks are decided by other layouts of the binaries.
func TestLayoutsDecideUndecidedTimes(t *testing.T) {
	for name, tc := range map[string]struct {
		d      *harness.Difference
		family int
		want   Outcome
		says   string
	}{
		"slower":                       {relinked(often(undecidedTimes(), 5), 1.03), 1, Broken, "in this order 30 of 60 blocks"},
		"not slower":                   {relinked(often(undecidedTimes(), 5), 1), 1, Held, "not slower by 2%: in other orders of the functions the ratio is 1 "},
		"at the boundary":              {relinked(often(undecidedTimes(), 5), math.Sqrt(1.02)), 1, Inconclusive, "n=12 layouts), too near the boundary 1.01 to decide; in this order"},
		"slower, one of a hundred":     {relinked(often(undecidedTimes(), 5), 1.024), 100, Inconclusive, ", too near the boundary 1.01 to decide"},
		"the same, alone":              {relinked(often(undecidedTimes(), 5), 1.024), 1, Broken, "slower: in other orders"},
		"of too few blocks":            {relinked(undecidedTimes(), 1.03), 1, Inconclusive, "decides nothing"},
		"a biased pair needs no order": {relinked(often(apart(12, 1, 1.2, 0), 1), 1.03), 1, Invalid, "the A/A pair was broken"},
	} {
		v := Judging{Margin: 0.02, Family: tc.family, By: ByTime}.Judge(tc.d)
		if v.Outcome != tc.want || !strings.Contains(v.Reason, tc.says) {
			t.Errorf("%s: %v: %s; want %v, %q", name, v.Outcome, v.Reason, tc.want, tc.says)
		}
	}
}

// Where times hold and no instructions decide, other layouts confirm it, or show that the layout of
// the binary hid a slow-down.
func TestLayoutsConfirmHeldTimes(t *testing.T) {
	near := []float64{1.005, 1.03, 0.99, 1.012} // median below the boundary of a margin of 2%
	far := []float64{1.005, 1.03, 0.99, 1.022}  // median above it
	held := func() *harness.Difference { return often(apart(12, 1, 1, 0), 1) }
	faster := func(ratio float64) *harness.Difference {
		d := often(apart(12, ratio, 1, 0), 1)
		d.Ratio.High = ratio + 0.01
		return d
	}
	more := func(d *harness.Difference) *harness.Difference { return executes(d, 5, 1.03, 0.0001) }
	many := func(d *harness.Difference) *harness.Difference {
		for range 4 {
			d.Layouts = append(d.Layouts, near...)
		}
		return d
	}
	for name, tc := range map[string]struct {
		d       *harness.Difference
		by      string
		layouts []float64
		want    Outcome
		more    bool // layouts are asked for
	}{
		"none measured":            {held(), ByTime, nil, Held, true},
		"not slower":               {relinked(held(), 1), ByTime, nil, Held, false},
		"slower":                   {relinked(held(), 1.03), ByTime, nil, Broken, false},
		"undecided, rather not":    {held(), ByTime, near, Held, true},
		"undecided, rather slower": {held(), ByTime, far, Inconclusive, true},
		"no instructions":          {held(), "", nil, Held, true},
		"instructions that vary":   {executes(held(), 3, 1, 0.5), "", nil, Held, true},
		"instructions":             {executes(held(), 3, 1, 0.0001), "", nil, Held, false},
		"faster than any layout":   {faster(0.88), ByTime, nil, Held, false},
		"faster, as a layout may":  {faster(0.95), ByTime, nil, Held, true},
		"so, and slower in others": {relinked(faster(0.95), 1.03), ByTime, nil, Broken, false},

		"more instructions":                         {more(held()), "", nil, Inconclusive, true},
		"more instructions, faster":                 {more(faster(0.95)), "", nil, Inconclusive, true},
		"more instructions, faster than any layout": {more(faster(0.88)), "", nil, Inconclusive, false},
		"more instructions, and slower in others":   {relinked(more(faster(0.95)), 1.03), "", nil, Broken, false},
		"more instructions, rather slower":          {more(faster(0.95)), "", far, Broken, false},
		"more instructions, rather not slower":      {more(held()), "", near, Inconclusive, true},
		"so, in many layouts":                       {many(more(held())), "", nil, Inconclusive, false},
		"more instructions, not slower in others":   {relinked(more(held()), 1), "", nil, Inconclusive, false},
	} {
		tc.d.Layouts = append(tc.d.Layouts, tc.layouts...)
		j := Judging{Margin: 0.02, Family: 1, By: tc.by}
		if v := j.Judge(tc.d); v.Outcome != tc.want {
			t.Errorf("%s: %v: %s; want %v", name, v.Outcome, v.Reason, tc.want)
		}
		if m := j.More(tc.d); m.Layouts != tc.more {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// More requests only data that could change the verdict.
func TestMoreIsAskedForWhereItMayDecide(t *testing.T) {
	counting := func(d *harness.Difference) *harness.Difference { return executes(d, 3, 1.02, 0.0001) }
	layouts := executes(apart(3, 1.1, 1, 0), 5, 1, 0.001)
	layouts.Layouts = []float64{1.1, 1.1, 1.1, 1.1}
	undecided := func(layouts int) *harness.Difference {
		d := often(undecidedTimes(), 5)
		for len(d.Layouts) < layouts {
			relinked(d, math.Sqrt(1.02))
		}
		d.Layouts = d.Layouts[:layouts]
		return d
	}
	for name, tc := range map[string]struct {
		d    *harness.Difference
		by   string
		want harness.More
	}{
		"nothing yet":                    {apart(0, 1, 1, 0), "", harness.More{Time: true}},
		"times alone":                    {undecidedTimes(), "", harness.More{Time: true}},
		"held by instructions":           {executes(undecidedTimes(), 3, 1, 0.001), "", harness.More{}},
		"two counts more to break":       {counting(undecidedTimes()), "", harness.More{Time: true, Instructions: true}},
		"broken by instructions":         {executes(undecidedTimes(), 5, 1.02, 0.001), "", harness.More{}},
		"too few blocks to see a change": {executes(apart(1, 1, 1, 0), 3, 1, 0.001), "", harness.More{Time: true}},
		"slower, in one layout":          {executes(apart(3, 1.1, 1, 0), 5, 1, 0.001), "", harness.More{Layouts: true}},
		"slower, in all layouts":         {layouts, "", harness.More{}},
		"held, but for the self-check":   {apart(2, 0.985, 1, 1.025), "", harness.More{Time: true}},
		"by instructions":                {counting(undecidedTimes()), ByInstructions, harness.More{Instructions: true}},
		"by time":                        {counting(undecidedTimes()), ByTime, harness.More{Time: true}},
		"undecided after many":           {often(undecidedTimes(), 2), ByTime, harness.More{Time: true, Layouts: true}},
		"one session less":               {often(undecidedTimes(), 1), ByTime, harness.More{Time: true}},
		"the same, held by instructions": {executes(often(undecidedTimes(), 5), 3, 1, 0.001), "", harness.More{}},
		"decided by layouts":             {relinked(often(undecidedTimes(), 5), 1.03), ByTime, harness.More{}},
		"undecided by layouts":           {undecided(12), ByTime, harness.More{Time: true, Layouts: true}},
		"by all layouts but one":         {undecided(mostLayouts - 1), ByTime, harness.More{Time: true, Layouts: true}},
		"by all layouts":                 {undecided(mostLayouts), ByTime, harness.More{Time: true}},
	} {
		if got := (Judging{Margin: 0.02, Family: 1, By: tc.by}).More(tc.d); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// Times that lean to slower are measured on, although the instructions hold: above 2 of 3 blocks are
// above the boundary, and so is the ratio.
func TestMoreIsNotAskedForWhereItCannotDecide(t *testing.T) {
	few := func() *harness.Difference { return apart(1, 1, 1, 0) }
	counts := func(d *harness.Difference, unit string, head float64, processes int) *harness.Difference {
		d.Counts = []harness.Count{{Unit: unit, BaseLow: 2, BaseHigh: 2, HeadLow: head, HeadHigh: head, Base: processes, Head: processes}}
		return d
	}
	problem, fails := few(), apart(0, 1, 1, 0)
	problem.Problem, fails.HeadFails = "boom", "exit status 1"
	one := few()
	one.Blocks = one.Blocks[:1]
	mute := func() *harness.Difference {
		d := apart(0, 1, 1, 0)
		d.NotCompared = "it prints no ns/op"
		return d
	}
	untimed := func() *harness.Difference {
		d := apart(3, 1, 1, 0)
		d.Untimed = "its floor is bistable"
		return d
	}
	leans := func(above int, ratio, executed float64) *harness.Difference {
		d := undecidedTimes()
		for i := range d.Blocks {
			if d.Blocks[i].Ratio = 0.9; i%6*2+i/6 < above {
				d.Blocks[i].Ratio = 1.1
			}
		}
		d.Ratio.Value = ratio
		return executes(d, 5, executed, 0.001)
	}
	bound := math.Sqrt(1.02)
	time := harness.More{Time: true}
	for name, tc := range map[string]struct {
		d    *harness.Difference
		by   string
		want harness.More
	}{
		"a problem":                        {problem, "", harness.More{}},
		"it fails":                         {fails, "", harness.More{}},
		"a bias, of undecided counts":      {executes(apart(3, 1, 1.2, 0), 3, 1.02, 0.0001), "", harness.More{Instructions: true}},
		"one block":                        {one, "", time},
		"no time, no counts":               {mute(), "", harness.More{}},
		"no time, counts of two":           {counts(mute(), "allocs/op", 2, 2), "", time},
		"no time, counts of three":         {counts(mute(), "allocs/op", 2, 3), "", harness.More{}},
		"broken by counts of three":        {counts(few(), "allocs/op", 3, 3), "", harness.More{}},
		"time is not judged, no counts":    {untimed(), "", time},
		"time is not judged, counts of 2":  {executes(counts(untimed(), "allocs/op", 2, 2), 3, 1, 0.001), "", time},
		"time is not judged, counts of 3":  {executes(counts(untimed(), "allocs/op", 2, 3), 3, 1, 0.001), "", harness.More{}},
		"by instructions, few blocks":      {executes(few(), 3, 1.02, 0.0001), ByInstructions, harness.More{Instructions: true}},
		"by time, instructions held":       {executes(undecidedTimes(), 3, 1, 0.001), ByTime, time},
		"times and layouts held":           {relinked(apart(8, 1, 1, 0), 1), "", harness.More{}},
		"leans":                            {leans(9, 1.05, 1), "", time},
		"2 of 3 above":                     {leans(8, 1.05, 1), "", harness.More{}},
		"half above":                       {leans(6, 1.05, 1), "", harness.More{}},
		"the ratio at the boundary":        {leans(9, bound, 1), "", harness.More{}},
		"the ratio below it":               {leans(9, 0.995, 1), "", harness.More{}},
		"leans, and more are executed":     {leans(9, 1.05, 1.05), "", harness.More{}},
		"half above, and more is executed": {leans(6, 1.05, 1.05), "", harness.More{}},
	} {
		if got := (Judging{Margin: 0.02, Family: 1, By: tc.by}).More(tc.d); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// Of 2,000 pairs of equal programs, few are broken and most are held.
func TestInstructionsRarelyErr(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for _, sd := range []float64{0.0003, 0.001, 0.003} {
		held, broken, found := 0, 0, 0
		const n = 2000
		for range n {
			for _, ratio := range []float64{1, 1.02} {
				c := &harness.Instructions{}
				o := Inconclusive
				for len(c.Base) < mostCounts && o == Inconclusive {
					for range 2 - min(1, len(c.Base)) {
						c.Base = append(c.Base, math.Exp(sd*rng.NormFloat64()))
						c.Head = append(c.Head, ratio*math.Exp(sd*rng.NormFloat64()))
					}
					o = judgeInstructions(c, 0.02, 1).outcome
				}
				switch {
				case ratio == 1 && o == Held:
					held++
				case ratio == 1 && o == Broken:
					broken++
				case o == Broken:
					found++
				}
			}
		}
		t.Logf("sd %v: unchanged: %d held and %d broken, +2%%: %d broken of %d", sd, held, broken, found, n)
		if broken > 0 || held < n*95/100 || found < n*90/100 {
			t.Errorf("sd %v: unchanged: %d held and %d broken, +2%%: %d broken of %d", sd, held, broken, found, n)
		}
	}
}

// A margin of less than one instruction is judged like any other, since counts are means over many
// operations, and the verdict says that a single instruction is beyond it.
func TestAMarginBelowOneInstructionIsSaid(t *testing.T) {
	counts := func(n float64) []float64 { return []float64{n, n, n, n, n} }
	for _, tc := range []struct {
		base, head, margin float64
		want               Outcome
		says               string
	}{
		{41, 41, 0.02, Held, "an operation executes 41 instructions, so that one more is +2.4%, beyond the margin of 2%"},
		{41, 42, 0.02, Broken, "one more is +2.4%"},
		{41, 41.1, 0.02, Held, "one more is +2.4%"},
		{41, 42, 0.05, Inconclusive, ""}, // at the boundary, 2.47%
		{50, 50, 0.02, Held, ""},
		{5000, 5000, 0.01, Held, ""},
	} {
		d := apart(1, 1, 1, 0)
		d.Instructions = &harness.Instructions{Tool: "valgrind", Base: counts(tc.base), Head: counts(tc.head)}
		v := Judging{Margin: tc.margin, Family: 1, By: ByInstructions}.Judge(d)
		notes := strings.Join(v.Notes, "; ")
		if v.Outcome != tc.want || (notes == "") != (tc.says == "") || !strings.Contains(notes, tc.says) {
			t.Errorf("%v to %v instructions, margin %v: %v, notes %q; want %v, %q", tc.base, tc.head, tc.margin, v, notes, tc.want, tc.says)
		}
	}
}

// The interval is that of Student's t with 8 degrees of freedom, whose 97.5% quantile is 2.306004
// in printed tables.
func TestFiguresOfInstructions(t *testing.T) {
	side := func(ratio float64) (v []float64) {
		for _, log := range []float64{-0.01, -0.005, 0, 0.005, 0.01} { // with a standard deviation of 0.0079057
			v = append(v, 50_000*ratio*math.Exp(log))
		}
		return v
	}
	got := judgeInstructions(&harness.Instructions{Base: side(1), Head: side(1.01)}, 0.05, 1).ratio
	half := 2.306004 * 0.0079057 * math.Sqrt(2.0/5)
	for name, row := range map[string][2]float64{"value": {got.Value, 1.01}, "low": {got.Low, 1.01 * math.Exp(-half)}, "high": {got.High, 1.01 * math.Exp(half)}} {
		if math.Abs(row[0]-row[1]) > 1e-6 {
			t.Errorf("%s %v, want %v", name, row[0], row[1])
		}
	}
}

func TestInstructionsAtTheirBounds(t *testing.T) {
	n := func(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }
	for name, tc := range map[string]struct {
		base, head []float64
		family     int
		want       Outcome
		more       bool
		not        string
	}{
		"one of a side":              {n(5, 100), n(1, 100), 1, Inconclusive, true, "too few"},
		"vary by the margin":         {[]float64{99, 100, 101}, n(3, 100), 1, Inconclusive, true, "decide nothing after 3"},
		"vary by more":               {[]float64{98.5, 100, 101.5}, n(3, 100), 1, Inconclusive, false, "vary by 3% from process to process, more than the margin of 2%"},
		"as many as are counted":     {n(9, 100), n(9, 101), 1, Inconclusive, false, "decide nothing after 9"},
		"one less":                   {n(8, 100), n(8, 101), 1, Inconclusive, true, "decide nothing after 8"},
		"8 standard errors above":    {n(5, 100), n(5, 101.353), 1, Broken, true, ""}, // p = 2e-5
		"the same, one of a hundred": {n(5, 100), n(5, 101.353), 100, Inconclusive, true, "decide nothing"},
	} {
		got := judgeInstructions(&harness.Instructions{Base: tc.base, Head: tc.head}, 0.02, tc.family)
		if got.outcome != tc.want || got.more != tc.more || (got.not == "") != (tc.not == "") || !strings.Contains(got.not, tc.not) {
			t.Errorf("%s: %+v; want %v, more %v, %q", name, got, tc.want, tc.more, tc.not)
		}
	}
}

// Layouts that agree, by their distance from the boundary in standard errors. With 3 degrees of
// freedom 7 are no evidence against 1 in 800, with 5 they would be.
func TestLayoutsAtTheirBounds(t *testing.T) {
	for errors, want := range map[float64]Outcome{11: Broken, 7: Inconclusive, -3: Inconclusive, -8: Held} {
		one := math.Sqrt(1.02) * math.Exp(errors*leastSpread/2)
		if got := judgeLayouts([]float64{one, one, one, one}, 0.02, 1, layoutsHold); got != want {
			t.Errorf("%v standard errors above the boundary: %v, want %v", errors, got, want)
		}
	}
}
