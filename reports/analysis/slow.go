package analysis

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

const (
	slowNewer = 10   // maximum number of newer runs
	slowOlder = 8    // minimum number of older runs
	slowRatio = 1.25 // smallest slow-down that is reported
	slowRate  = 0.05 // false discovery rate

	longerRatio = 3                      // smallest ratio to the median of earlier runs that is reported
	longerLeast = 100 * time.Millisecond // smallest difference that is reported
)

// addDurations finds the slowest specs and those that became slower. For the latter it divides
// each duration by the slowness of its run, the median over the specs of duration/(median of the
// spec), so that a busy machine does not make specs appear slow. It compares newer with older runs
// by the one-sided Mann-Whitney test, and adjusts for the number of specs by the
// Benjamini-Hochberg procedure. Specs that slowed down by less than slowRatio count as tests with
// P = 1.
func (a *analyzer) addDurations() {
	if a.a.Run.Suites == nil || a.w.Timed == 0 {
		return
	}
	t := newTimes(a.w)
	a.addSlowest(t)
	a.addSlowing(t)
	a.addLonger(t)
}

// times holds durations in seconds by spec and run; NaN if the spec did not run.
type times struct {
	w       *history.Window
	ids     []int64
	medians []float64
	factors []float64     // slowness of each run, see addDurations
	place   map[int64]int // index in ids, by name ID
}

// value returns the duration of a spec in a run, in seconds, or NaN if it did not pass: the
// duration of a failure has other reasons.
func (t *times) value(id int64, run int) float64 {
	code := t.w.Codes[id][len(t.w.Runs)-t.w.Timed+run]
	if took := t.w.Took[id][run]; history.OutcomeOf(code) == history.Good && took > 0 {
		return took.Seconds()
	}
	return math.NaN()
}

func newTimes(w *history.Window) *times {
	t := &times{w: w, place: map[int64]int{}, factors: make([]float64, w.Timed)}
	var scratch []float64
	for id, codes := range w.Codes {
		if codes == nil {
			continue
		}
		scratch = scratch[:0]
		for i := range w.Timed {
			if v := t.value(int64(id), i); !math.IsNaN(v) {
				scratch = append(scratch, v)
			}
		}
		if len(scratch) == 0 {
			continue
		}
		t.place[int64(id)] = len(t.ids)
		t.ids, t.medians = append(t.ids, int64(id)), append(t.medians, median(scratch))
	}
	for i := range t.factors {
		scratch = scratch[:0]
		for k, id := range t.ids {
			if v := t.value(id, i); !math.IsNaN(v) {
				scratch = append(scratch, v/t.medians[k])
			}
		}
		t.factors[i] = 1
		if len(scratch) > 0 {
			t.factors[i] = median(scratch)
		}
	}
	return t
}

func (a *analyzer) addSlowest(t *times) {
	specs := a.a.Run.Suites.Specs
	total := time.Duration(0)
	order := make([]*reports.Spec, len(specs))
	for i := range specs {
		order[i] = &specs[i]
		total += specs[i].Duration
	}
	slices.SortStableFunc(order, func(x, y *reports.Spec) int { return cmp.Compare(y.Duration, x.Duration) })
	for _, s := range order[:min(len(order), MaxSlowest)] {
		if s.Duration == 0 {
			break
		}
		slow := Slow{Spec: *s, Share: float64(s.Duration) / float64(total)}
		if k, ok := t.place[a.ids[s.Digest()]]; ok {
			slow.Median = text.Seconds(t.medians[k])
		}
		a.a.Slowest = append(a.a.Slowest, slow)
	}
}

func (a *analyzer) addSlowing(t *times) {
	runs := len(t.factors)
	newer := min(slowNewer, runs/3)
	if newer < 3 || runs-newer < slowOlder {
		return
	}
	now := map[int64]*reports.Spec{}
	for i := range a.a.Run.Suites.Specs {
		s := &a.a.Run.Suites.Specs[i]
		now[a.ids[s.Digest()]] = s
	}
	var test mannWhitney
	var found []Slowing
	var ps []float64
	for _, id := range t.ids {
		if now[id] == nil {
			continue
		}
		var old, recent []float64
		for i := range t.factors {
			v := t.value(id, i)
			switch {
			case math.IsNaN(v):
			case i < runs-newer:
				old = append(old, v/t.factors[i])
			default:
				recent = append(recent, v/t.factors[i])
			}
		}
		if len(recent) < 3 || len(old) < slowOlder {
			continue
		}
		s := Slowing{Spec: *now[id], NBefore: len(old), NNow: len(recent), P: 1}
		before, after := median(old), median(recent)
		s.Before, s.Now, s.Ratio = text.Seconds(before), text.Seconds(after), after/before
		if s.Ratio >= slowRatio {
			s.P = test.larger(old, recent)
		}
		found, ps = append(found, s), append(ps, s.P)
	}
	for i, adjusted := range benjaminiHochberg(ps) {
		if adjusted <= slowRate {
			found[i].Tested, found[i].Significance = len(ps), adjusted
			a.a.Slowing = append(a.a.Slowing, found[i])
		}
	}
	slices.SortStableFunc(a.a.Slowing, func(x, y Slowing) int {
		return cmp.Compare(y.Now-y.Before, x.Now-x.Before)
	})
}

// addLonger finds specs that took much longer in this run than the median of earlier runs, of which
// there may be only one. It divides the durations by the slowness of the run if that is above 1, so that
// a fast run does not make specs appear slow.
func (a *analyzer) addLonger(t *times) {
	last := len(t.factors) - 1 // this run, whose specs are known
	slowing := map[reports.Digest]bool{}
	for i := range a.a.Slowing {
		slowing[a.a.Slowing[i].Spec.Digest()] = true
	}
	busy := 1.0
	if len(t.ids) >= 10 { // with fewer, one slow spec would look like a slow machine
		busy = max(1, t.factors[last])
	}
	var before []float64
	for i := range a.a.Run.Suites.Specs {
		s := &a.a.Run.Suites.Specs[i]
		if s.State != reports.Passed || s.Duration < longerLeast {
			continue
		}
		key := s.Digest()
		id := a.ids[key]
		_, ok := t.place[id]
		if !ok || slowing[key] {
			continue
		}
		before = before[:0]
		for run := range last {
			if v := t.value(id, run); !math.IsNaN(v) {
				before = append(before, v)
			}
		}
		if len(before) == 0 {
			continue
		}
		l := Longer{Spec: *s, Before: text.Seconds(median(before)), Now: s.Duration, N: len(before)}
		if now := s.Duration.Seconds() / busy; now >= longerRatio*l.Before.Seconds() && now-l.Before.Seconds() >= longerLeast.Seconds() {
			a.a.Longer = append(a.a.Longer, l)
		}
	}
	slices.SortStableFunc(a.a.Longer, func(x, y Longer) int { return cmp.Compare(y.Now-y.Before, x.Now-x.Before) })
	a.a.Longer = a.a.Longer[:min(len(a.a.Longer), MaxSlowest)]
}
