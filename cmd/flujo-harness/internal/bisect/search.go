// Package bisect finds the commit since which a test fails, or fails more often, from runs whose
// outcome may be random.
//
// The hypotheses are "commit k is the first bad one", for each k, and "no commit changed
// anything". Good commits fail at one unknown rate, bad ones at another. Each rate has a Beta
// prior, so that the likelihood of all runs has a closed form (the beta-binomial distribution).
// The next run is at the commit whose outcome is expected to be most informative, which is the
// one with the largest mutual information of the outcome and the hypothesis (Lindley 1956). The
// search ends when one hypothesis has the required probability. For a test that always fails
// since one commit, the search needs a few more runs than binary search.
//
// The bad end is run first, until it fails. If it passes so often that a failure rate worth finding
// is excluded, there is nothing to find.
package bisect

import "math"

// Search is a search among the commits 0 to n, oldest first, of which 0 is good and n is bad. It
// is not safe for concurrent use.
type Search struct {
	passes, fails []int  // evidence by commit, recorded runs included
	runs          []int  // number of runs of this search, by commit
	cannot        []bool // commits that cannot be tested
	wrong         float64
	failed        bool    // a run of this search at the bad end failed
	rate          float64 // failure rate of the bad end that Absent excludes

	now *belief // nil if evidence was added since it was computed
}

// belief is the posterior, given all evidence.
type belief struct {
	p []float64 // probability of each hypothesis: at 0 that no commit changed anything, at k that k is the first bad one

	// Expected failure rates of good and bad commits under each hypothesis; they are equal at 0.
	good, bad []float64
}

// Priors of the failure rates: any rate is plausible for bad commits, only low rates for good
// ones. noChange is the prior probability that no commit changed anything.
const (
	badA, badB   = 0.5, 0.5
	goodA, goodB = 0.1, 8
	noChange     = 0.05
)

// worthFinding is the failure rate of the bad end that is excluded if no failure is recorded, and
// missed is the probability that a bad end of that rate is taken for one that does not fail.
const (
	worthFinding = 0.2
	missed       = 0.05
)

// New returns a search in which at most the share wrong of the answers are wrong, such as 0.01.
func New(n int, wrong float64) *Search {
	// Failure rates of real tests are not drawn from the priors. With an eighth of wrong, the
	// bound holds for each rate of TestPlantedHistories, not only on average.
	return &Search{passes: make([]int, n+1), fails: make([]int, n+1), runs: make([]int, n+1), cannot: make([]bool, n+1), wrong: wrong / 8, rate: worthFinding}
}

// Recorded adds results of a commit from before the search.
func (s *Search) Recorded(commit, passes, fails int) {
	s.passes[commit] += passes
	s.fails[commit] += fails
	s.now = nil
}

// Ran adds the result of a run that Next asked for.
func (s *Search) Ran(commit int, failed bool) {
	s.runs[commit]++
	s.now = nil
	s.failed = s.failed || failed && commit == len(s.runs)-1
	if failed {
		s.fails[commit]++
	} else {
		s.passes[commit]++
	}
}

// CannotTest marks a commit that does not build, or does not have the test.
func (s *Search) CannotTest(commit int) { s.cannot[commit] = true }

// Evidence returns the number of passes and failures of a commit.
func (s *Search) Evidence(commit int) (passes, fails int) { return s.passes[commit], s.fails[commit] }

// Exclude sets the failure rate, above 0 and at most 1, that runs at the bad end must exclude
// before the search ends because nothing fails there. 1 is that of an outcome without chance.
func (s *Search) Exclude(rate float64) { s.rate = rate }

// RecordedRate returns the failure rate of the bad end that recorded runs suggest: the expected
// one since the first commit with a failure. ok is false if there is none.
func (s *Search) RecordedRate() (rate float64, ok bool) {
	var passes, fails float64
	for i := range s.fails {
		if fails > 0 || s.fails[i] > 0 {
			passes, fails = passes+float64(s.passes[i]), fails+float64(s.fails[i])
		}
	}
	return (badA + fails) / (badA + badB + fails + passes), fails > 0
}

// Absent returns the number of runs at the bad end, if all of them passed, and how many passes
// exclude the rate: with as many, at least one of them would have failed with 95%.
func (s *Search) Absent() (passed, enough int) {
	enough = 1
	if s.rate < 1 {
		enough = max(1, int(math.Ceil(math.Log(missed)/math.Log1p(-s.rate))))
	}
	if s.failed {
		return 0, enough
	}
	return s.runs[len(s.runs)-1], enough
}

// Runs returns the number of runs of this search.
func (s *Search) Runs() (n int) {
	for _, r := range s.runs {
		n += r
	}
	return n
}

// lbeta returns the logarithm of the beta function.
func lbeta(a, b float64) float64 {
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(b)
	z, _ := math.Lgamma(a + b)
	return x + y - z
}

// believe returns the posterior. It is computed only if evidence was added.
func (s *Search) believe() *belief {
	if s.now != nil {
		return s.now
	}
	n := len(s.passes) - 1
	b := &belief{p: make([]float64, n+1), good: make([]float64, n+1), bad: make([]float64, n+1)}
	var pass, fail float64
	for i := range s.passes {
		pass, fail = pass+float64(s.passes[i]), fail+float64(s.fails[i])
	}
	b.p[0] = math.Log(noChange) + lbeta(badA+fail, badB+pass) - lbeta(badA, badB)
	b.bad[0] = (badA + fail) / (badA + badB + fail + pass)
	b.good[0] = b.bad[0]
	top := b.p[0]
	var passed, failed float64 // before k
	for k := 1; k <= n; k++ {
		passed, failed = passed+float64(s.passes[k-1]), failed+float64(s.fails[k-1])
		b.p[k] = math.Log((1-noChange)/float64(n)) + lbeta(goodA+failed, goodB+passed) - lbeta(goodA, goodB) +
			lbeta(badA+fail-failed, badB+pass-passed) - lbeta(badA, badB)
		b.good[k] = (goodA + failed) / (goodA + goodB + failed + passed)
		b.bad[k] = (badA + fail - failed) / (badA + badB + fail - failed + pass - passed)
		top = max(top, b.p[k])
	}
	sum := 0.0
	for i := range b.p {
		b.p[i] = math.Exp(b.p[i] - top)
		sum += b.p[i]
	}
	for i := range b.p {
		b.p[i] /= sum
	}
	s.now = b
	return b
}

// Answer is the result of a search: the first bad commit is one of First to Last. They differ if
// commits between them cannot be tested.
type Answer struct {
	First, Last int
	NoChange    bool    // the good end fails as often as the bad end
	Sure        float64 // probability that the answer is right
	Good, Bad   float64 // failure rates before and since
}

// Done returns the answer if there is one. The search itself has then run the commits on both
// sides of it at least once, unless they cannot be tested.
func (s *Search) Done() (Answer, bool) {
	b := s.believe()
	if b.p[0] >= 0.8 && s.fails[0] > 1 && s.ran(0) && s.ran(len(b.p)-1) { // a lower threshold, because evidence for no change accumulates slowly
		return Answer{NoChange: true, Sure: b.p[0], Good: b.good[0], Bad: b.bad[0]}, true
	}
	a := s.likeliest(b.p)
	a.Good, a.Bad = b.good[a.Last], b.bad[a.Last]
	return a, a.Sure >= 1-s.wrong && s.ran(a.First-1) && s.ran(a.Last)
}

func (s *Search) ran(commit int) bool { return s.runs[commit] > 0 || s.cannot[commit] }

// likeliest returns the group of commits with the highest probability. A group ends with a commit
// that can be tested: commits before it that cannot be tested are indistinguishable.
func (s *Search) likeliest(p []float64) (best Answer) {
	first, sum := 1, 0.0
	for k := 1; k < len(p); k++ {
		sum += p[k]
		if s.cannot[k] && k < len(p)-1 {
			continue
		}
		if sum > best.Sure || best.Last == 0 {
			best = Answer{First: first, Last: k, Sure: sum}
		}
		first, sum = k+1, 0
	}
	return best
}

// Next returns the commit to run next. ok is false if no commit can be tested. The bad end is run
// until it fails, because before that there may be nothing to find.
func (s *Search) Next() (commit int, ok bool) {
	n := len(s.passes) - 1
	if !s.failed && !s.cannot[n] {
		return n, true
	}
	for _, end := range []int{n, 0} { // both ends are run here before they are used as evidence
		if !s.ran(end) {
			return end, true
		}
	}
	if a, sure := s.Done(); !sure && a.Sure >= 1-s.wrong { // the evidence so far is only from recorded runs
		for _, c := range []int{a.Last, a.First - 1} {
			if !s.ran(c) {
				return c, true
			}
		}
	}
	// The information of a run at m is the entropy of its outcome minus the expected entropy if
	// the hypothesis is known. From one m to the next, the sum over hypotheses under which m is
	// bad gains one term, which the sum over the others loses.
	b := s.believe()
	mean, left := b.p[0]*b.bad[0], b.p[0]*entropy(b.bad[0])
	for k := 1; k <= n; k++ {
		mean, left = mean+b.p[k]*b.good[k], left+b.p[k]*entropy(b.good[k])
	}
	most, found := math.Inf(-1), -1
	for m := range n + 1 {
		if m > 0 {
			mean += b.p[m] * (b.bad[m] - b.good[m])
			left += b.p[m] * (entropy(b.bad[m]) - entropy(b.good[m]))
		}
		if tells := entropy(mean) - left; !s.cannot[m] && tells > most {
			most, found = tells, m
		}
	}
	return found, found >= 0
}

// entropy returns the entropy of an event with probability p, in nats.
func entropy(p float64) float64 {
	if p <= 0 || p >= 1 {
		return 0
	}
	return -p*math.Log(p) - (1-p)*math.Log(1-p)
}
