package bisect

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// planted is a history of n commits with a known first bad commit; first is 0 if there is none.
type planted struct {
	n, first  int
	good, bad float64 // rates
	cannot    map[int]bool
}

// find searches a planted history. ok is false if most runs gave no answer.
func (h planted) find(random *rand.Rand, most int) (a Answer, runs int, ok bool) {
	s := New(h.n, 0.01)
	for runs = range most {
		if a, ok = s.Done(); ok {
			return a, runs, true
		}
		m, some := s.Next()
		if !some {
			return a, runs, false
		}
		if h.cannot[m] {
			s.CannotTest(m)
			continue
		}
		rate := h.good
		if h.first > 0 && m >= h.first {
			rate = h.bad
		}
		s.Ran(m, random.Float64() < rate)
	}
	return a, most, false
}

func (h planted) right(a Answer) bool {
	if h.first == 0 {
		return a.NoChange
	}
	return !a.NoChange && a.First <= h.first && h.first <= a.Last
}

// At most 1% of the answers are wrong, for each pair of rates, and few searches give up.
func TestPlantedHistories(t *testing.T) {
	for _, rates := range [][2]float64{{0, 1}, {0, 0.5}, {0, 0.2}, {0, 0.1}, {0, 0.05}, {0.01, 0.3}, {0.02, 0.5}, {0.05, 1}} {
		t.Run(fmt.Sprint(rates), func(t *testing.T) {
			t.Parallel()
			const histories, most = 200, 2000
			random := rand.New(rand.NewPCG(1, uint64(1000*rates[1])))
			wrong, gaveUp, runs := 0, 0, 0
			for range histories {
				n := 1 + random.IntN(60)
				h := planted{n: n, first: 1 + random.IntN(n), good: rates[0], bad: rates[1]}
				a, made, ok := h.find(random, most)
				runs += made
				switch {
				case !ok:
					gaveUp++
				case !h.right(a):
					wrong++
				}
			}
			t.Logf("%d histories: %d wrong, %d gave up, %d runs on average", histories, wrong, gaveUp, runs/histories)
			if wrong > histories/100 || gaveUp > histories/50 {
				t.Errorf("%d of %d histories: wrong, %d gave up", wrong, histories, gaveUp)
			}
		})
	}
}

// The answer for a test that fails as often at both ends is that no commit changed it.
func TestNoCommitChangedIt(t *testing.T) {
	for _, rate := range []float64{1, 0.5, 0.2} {
		random := rand.New(rand.NewPCG(3, 4))
		wrong, gaveUp := 0, 0
		for range 100 {
			h := planted{n: 1 + random.IntN(30), good: rate, bad: rate}
			a, _, ok := h.find(random, 1000)
			if !ok {
				gaveUp++
			} else if !h.right(a) {
				wrong++
			}
		}
		if wrong > 1 || gaveUp > 30 { // of 100: evidence for no change accumulates slowly

			t.Errorf("rate %v: %d of 100 wrong, %d gave up", rate, wrong, gaveUp)
		}
	}
}

// For a test that always fails since one commit, the search needs few more runs than binary
// search.
func TestCertainFailuresCostFewRuns(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 2, 16, 1000} {
		longest := 0
		for first := 1; first <= n; first += max(1, n/16) {
			h := planted{n: n, first: first, bad: 1}
			a, runs, ok := h.find(random, 1000)
			if !ok || !h.right(a) {
				t.Errorf("%d commits, the first bad is %d: %+v, %v", n, first, a, ok)
			}
			longest = max(longest, runs)
		}
		t.Logf("%d commits: %d runs at most", n, longest)
		if longest > 32 {
			t.Errorf("%d commits: %d runs", n, longest)
		}
	}
}

// Commits that cannot be tested make the answer wider, not wrong.
func TestCommitsThatCannotBeTested(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for i := range 200 {
		n := 5 + random.IntN(60)
		h := planted{n: n, first: 1 + random.IntN(n), bad: 1, cannot: map[int]bool{}}
		if i%2 == 0 {
			h.bad = 0.4
		}
		for m := 1; m < n; m++ {
			h.cannot[m] = random.IntN(3) == 0
		}
		a, _, ok := h.find(random, 1000)
		if !ok || !h.right(a) || h.cannot[a.Last] {
			t.Errorf("%+v: %+v, %v", h, a, ok)
		}
		for k := a.First; k < a.Last; k++ {
			if !h.cannot[k] {
				t.Errorf("commit %d can be tested, and is within %d to %d", k, a.First, a.Last)
			}
		}
	}
}

// Recorded runs direct the search, but the answer also needs runs of the search itself.
func TestTheHistoryIsUsedAndNotTrusted(t *testing.T) {
	s := New(100, 0.01)
	for i := range 101 {
		if i < 60 {
			s.Recorded(i, 3, 0)
		} else {
			s.Recorded(i, 0, 3)
		}
	}
	if a, ok := s.Done(); ok || a.Last != 60 {
		t.Errorf("%+v, %v before any run", a, ok)
	}
	var asked []int
	for range 10 {
		if _, ok := s.Done(); ok {
			break
		}
		m, _ := s.Next()
		asked = append(asked, m)
		s.Ran(m, m >= 60)
	}
	a, ok := s.Done()
	if !ok || a.First != 60 || a.Last != 60 || len(asked) > 4 {
		t.Errorf("%+v, %v after runs at %v", a, ok, asked)
	}
}

// A bad end that passes is run as often as excludes the rate, and nowhere else is anything run.
func TestABadEndThatPasses(t *testing.T) {
	for name, c := range map[string]struct {
		recorded [3]int // passes and failures at the bad end; its commit
		exclude  float64
		runs     int
	}{
		"nothing is recorded":       {runs: 14},
		"it always failed":          {recorded: [3]int{0, 10, 100}, runs: 1},
		"it failed in 1 of 20":      {recorded: [3]int{19, 1, 80}, runs: 41},
		"a rate is asked for":       {recorded: [3]int{0, 10, 100}, exclude: 0.05, runs: 59},
		"the outcome has no chance": {exclude: 1, runs: 1},
	} {
		s := New(100, 0.01)
		s.Recorded(0, 3, 0)
		s.Recorded(c.recorded[2], c.recorded[0], c.recorded[1])
		if rate, ok := s.RecordedRate(); c.exclude > 0 {
			s.Exclude(c.exclude)
		} else if ok {
			s.Exclude(rate)
		}
		for range 1000 {
			if passed, enough := s.Absent(); passed >= enough {
				break
			}
			m, _ := s.Next()
			if m != 100 {
				t.Fatalf("%s: run %d is at %d", name, s.Runs()+1, m)
			}
			s.Ran(m, false)
		}
		if s.Runs() != c.runs {
			t.Errorf("%s: %d runs, not %d", name, s.Runs(), c.runs)
		}
		s.Ran(100, true)
		for range 100 {
			s.Ran(100, false)
		}
		if passed, enough := s.Absent(); passed >= enough {
			t.Errorf("%s: absent, though it failed", name)
		}
	}
}

// Of specs that fail as rarely as the rate that is excluded, at most 5% are said not to fail.
func TestTheExcludedRateIsMissedRarely(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	const specs = 4000
	for _, rate := range []float64{0.5, worthFinding, 0.05} {
		absent := 0
		for range specs {
			s := New(10, 0.01)
			s.Exclude(rate)
			for {
				passed, enough := s.Absent()
				if passed >= enough {
					absent++
				}
				if passed >= enough || s.failed {
					break
				}
				s.Ran(10, random.Float64() < rate)
			}
		}
		t.Logf("rate %v: %d of %d are missed", rate, absent, specs)
		if absent > specs*6/100 { // 5%, and three standard errors
			t.Errorf("rate %v: %d of %d are missed", rate, absent, specs)
		}
	}
}
