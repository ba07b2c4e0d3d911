package analysis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mathext"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/reports/quarantine"
)

// Whose classifies the origin of a failure.
type Whose string

// Origins of failures, in order of precedence.
const (
	Quarantined  Whose = "quarantined"    // covered by an entry of the quarantine ledger
	RedOnMain    Whose = "red on main"    // also failed in the baseline run
	KnownFlaky   Whose = "known flaky"    // is flaky without the change, at a rate that explains its failures
	ByThisChange Whose = "by this change" // passed in the baseline run, or is new
	Unknown      Whose = "unknown"        // has nothing to be compared with
)

// AllWhose lists the origins in display order.
var AllWhose = []Whose{ByThisChange, Unknown, RedOnMain, KnownFlaky, Quarantined}

// MaxChance is the probability below which a known flake's failures are too many to be explained
// by its rate, and are attributed to the change.
const MaxChance = 0.001

// Failure is a failed spec or a failure outside of specs, and its origin.
type Failure struct {
	Whose   Whose
	Spec    *reports.Spec // spec of the run; Outside.Spec for a failure outside of specs
	Outside *Outside      // nil for a spec
	Why     string        // the evidence: a clause that can follow the name and a colon

	At    *history.RunLine  // the earlier run that decided; nil if there is none
	Since *history.RunLine  // red on main: first run of the failure streak that ends with At
	Flake *Flake            // known flaky: its history in runs without the change
	P     float64           // known flaky: p-value of its failures at the upper end of the interval of its rate, see flakeChance; else 0
	Entry *quarantine.Entry // quarantined: its entry in the ledger

	Red, Green []string // platforms of other jobs of the same commit on which it fails, and passes
}

// Name returns the name of the spec or of the failure outside the specs.
func (f *Failure) Name() string {
	if f.Outside != nil {
		return f.Outside.Name()
	}
	return f.Spec.Name()
}

// Of returns the failures of one origin, in the order of [Analysis.Failures].
func (a *Analysis) Of(whose Whose) []Failure {
	n := 0
	from := slices.IndexFunc(a.Failures, func(f Failure) bool { return f.Whose == whose })
	if from < 0 {
		return nil
	}
	for n = from; n < len(a.Failures) && a.Failures[n].Whose == whose; n++ { // they are sorted by whose they are
	}
	return a.Failures[from:n:n]
}

// judgeFailures determines the origin of each failure of the run.
func (a *analyzer) judgeFailures() error {
	if a.a.Run.Suites == nil {
		return nil
	}
	if err := a.readPlatforms(); err != nil {
		return err
	}
	a.a.Failures = make([]Failure, 0, len(a.a.Outside)+a.a.Counts.Failed)
	for i := range a.a.Outside {
		if o := &a.a.Outside[i]; o.Now {
			spec := o.Spec()
			f := Failure{Spec: &spec, Outside: o}
			if err := a.judgeOutside(&f); err != nil {
				return err
			}
			a.a.Failures = append(a.a.Failures, f)
		}
	}
	from := make(map[*reports.Spec]*Move, a.a.Counts.Failed)
	for i := range a.a.Moves {
		if m := &a.a.Moves[i]; m.Now == reports.Failed {
			from[m.Spec] = m
		}
	}
	for i := range a.a.Run.Suites.Specs {
		s := &a.a.Run.Suites.Specs[i]
		if s.State != reports.Failed {
			continue
		}
		f := Failure{Spec: s}
		var m Move
		if from[s] != nil {
			m = *from[s]
		}
		if err := a.judgeSpec(&f, m); err != nil {
			return err
		}
		a.a.Failures = append(a.a.Failures, f)
	}
	slices.SortStableFunc(a.a.Failures, func(x, y Failure) int {
		return slices.Index(AllWhose, x.Whose) - slices.Index(AllWhose, y.Whose)
	})
	a.addWhose()
	return nil
}

// quarantined reports whether the quarantine covers a failure, which then has its origin.
func (a *analyzer) quarantined(f *Failure) bool {
	e := a.o.Quarantine.Covers(f.Spec, a.o.Now)
	if e == nil {
		return false
	}
	f.Whose, f.Entry, f.Why = Quarantined, e, fmt.Sprintf("%s, by %s until %s", text.OneLine(e.Reason), text.OneLine(e.Owner), e.Expires)
	return true
}

// judgeSpec determines the origin of a failed spec. The order of the rules is their precedence.
func (a *analyzer) judgeSpec(f *Failure, m Move) error {
	key := f.Spec.Digest()
	f.Red, f.Green = a.platforms.of(key)
	if a.quarantined(f) {
		return nil
	}
	s, err := a.lookup(key, m)
	if err != nil {
		return err
	}
	f.At = s.at
	if s.red {
		a.redBefore(f, s)
		return nil
	}
	if known, ok, err := a.knownFlake(key); err != nil {
		return err
	} else if ok {
		f.Flake = &known
		f.P = flakeChance(known.High, a.attemptsOf(f.Spec), a.branchStreak(key))
		rate := fmt.Sprintf("%s, last seen in run %d", known.Flaked, known.Last.ID)
		if f.P >= MaxChance {
			f.Whose, f.Why = KnownFlaky, "it fails now and then: "+rate
			return nil
		}
		f.Whose, f.Why = ByThisChange, fmt.Sprintf("it is flaky (%s), and now fails more often than that explains (p = %.2g, below %v)", rate, f.P, MaxChance)
		return nil
	}
	codes := a.codesOf(key)
	a.notRedBefore(f, s, func(at int) bool { return codes != nil && history.OutcomeOf(codes[at]) == history.Bad })
	return nil
}

// redBefore handles a failure that also failed in the baseline run.
func (a *analyzer) redBefore(f *Failure, s lookedUp) {
	if a.a.Baseline.Unsure {
		f.Whose, f.Why = Unknown, fmt.Sprintf("it fails in run %d too, which may be of the same code", s.at.ID)
		return
	}
	f.Whose, f.Since = RedOnMain, s.since
	if f.Why = a.sameWhy[[2]*history.RunLine{s.at, s.since}]; f.Why != "" {
		return
	}
	where := "it fails"
	if s.at.Branch != "" {
		where = "it fails on branch " + text.OneLine(s.at.Branch)
	}
	f.Why = fmt.Sprintf("%s since %s", where, runAndCommit(s.since))
	if s.since.ID != s.at.ID {
		f.Why += fmt.Sprintf(", and did in run %d", s.at.ID)
	}
	if a.sameWhy == nil {
		a.sameWhy = map[[2]*history.RunLine]string{}
	}
	a.sameWhy[[2]*history.RunLine{s.at, s.since}] = f.Why
}

// notRedBefore handles a failure that did not fail in the baseline run. redIn reports whether it
// is in a run of a.base.
func (a *analyzer) notRedBefore(f *Failure, s lookedUp, redIn func(at int) bool) {
	b := a.a.Baseline
	switch {
	case b.Run == nil:
		f.Whose, f.Why = Unknown, b.Why
		return
	case s.at == nil:
		f.Whose, f.Why = Unknown, "no run that it is compared with ran it"
		return
	}
	if !b.Exact || s.at.ID != b.Run.ID {
		for i, l := range a.base.Runs {
			if a.isLater(l, s.at) && redIn(i) {
				f.Whose, f.Why = Unknown, fmt.Sprintf("it did not fail in run %d, but fails in run %d of branch %s, which is newer: the change may or may not include that; make a run of the commit that the change started from",
					s.at.ID, l.ID, text.OneLine(l.Branch))
				return
			}
		}
	}
	f.Whose = ByThisChange
	switch {
	case s.isNew:
		f.Why = fmt.Sprintf("it is new: run %d does not have it", s.at.ID)
	case s.skipped:
		f.Why = fmt.Sprintf("it did not run in run %d", s.at.ID)
	default:
		f.Why = fmt.Sprintf("it passed in run %d", s.at.ID)
	}
	if s.at.Commit != "" {
		f.Why += ", commit " + text.ShortCommit(s.at.Commit)
	}
}

func runAndCommit(l *history.RunLine) string {
	if l.Commit == "" {
		return fmt.Sprintf("run %d", l.ID)
	}
	return fmt.Sprintf("run %d, commit %s", l.ID, text.ShortCommit(l.Commit))
}

// flakeChance returns the p-value of a flaky spec's failures under the hypothesis that it fails
// with probability p: twice the smaller of two p-values (Bonferroni correction). The first is the
// probability of at least k failures in the n attempts at this commit,
//
//	P(X >= k) = I_p(k, n-k+1), X binomial (n, p), I the regularized incomplete beta function,
//
// the second is the probability of the failure streak on the branch, p^streak. It assumes
// independent attempts.
//
// Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.5.24.
func flakeChance(p float64, tries reports.Rate, streak int) float64 {
	chance := 1.0
	if k, n := tries.Good, tries.Of; k > 0 && n >= k {
		chance = mathext.RegIncBeta(float64(k), float64(n-k+1), p)
	}
	row := 1.0
	for range streak {
		row *= p
	}
	return min(1, 2*min(chance, row))
}

// attemptsOf counts the attempts of a spec in all runs of the commit of this run. Good is the number
// of failed attempts.
func (a *analyzer) attemptsOf(s *reports.Spec) reports.Rate {
	r, others := attempts(s), a.tries[s.Digest()]
	return reports.Rate{Good: r.Good + others.Good, Of: r.Of + others.Of}
}

// attempts counts the attempts of a spec in one run. Good is the number of failed attempts.
func attempts(s *reports.Spec) (r reports.Rate) {
	switch n := max(1, s.Attempts); {
	case s.BothWays(): // at least one failed; the number is only in the message
		r.Good, r.Of = 1, n
	case s.State == reports.Failed:
		r.Good, r.Of = n, n
	case s.State == reports.Passed && s.Retried:
		r.Good, r.Of = n-1, n
	case s.State == reports.Passed:
		r.Of = n
	}
	return r
}

// platformStates is what other jobs of the same commit came to: parts of one platformStates.
type platformStates struct {
	names  []string
	states []map[reports.Digest]reports.State // of each platform
}

// maxAround is the maximum number of other jobs of a commit that are read.
const maxAround = 30

// readPlatforms reads the newest run of each other cell at the commit of the run.
func (a *analyzer) readPlatforms() error {
	a.platforms = platformStates{}
	mine := a.a.Run.Origin
	if a.a.Counts.Failed == 0 || a.a.Run.Dirty {
		return nil
	}
	seen := map[string]bool{a.chooser.run.Cell: true}
	for _, l := range a.chooser.all {
		if l.Dirty || l.Fork != mine.Fork || !reports.SameCommit(l.Commit, a.a.Run.Commit) || seen[l.Cell] || len(a.platforms.names) == maxAround {
			continue
		}
		seen[l.Cell] = true
		of, err := a.Outline(l.ID)
		if err != nil {
			return fmt.Errorf("run %d: %w", l.ID, err)
		}
		parts := strings.Split(l.Cell, "|")
		name := parts[0]
		if len(parts) == 3 {
			name = cmp.Or(parts[1], parts[0])
		}
		states := map[reports.Digest]reports.State{}
		for i := range of.Specs {
			states[of.Specs[i].Digest()] = of.Specs[i].State
		}
		a.platforms.names, a.platforms.states = append(a.platforms.names, name), append(a.platforms.states, states)
	}
	return nil
}

func (r *platformStates) of(key reports.Digest) (red, green []string) {
	for i, name := range r.names {
		switch r.states[i][key] {
		case reports.Failed:
			red = append(red, name)
		case reports.Passed:
			green = append(green, name)
		}
	}
	return red, green
}

// Where returns the platforms on which it fails and passes, such as "on windows only; it passes on
// linux", or "" if it passes on none. platform is that of the run.
func (f *Failure) Where(platform string) string {
	switch {
	case len(f.Green) == 0:
		return ""
	case len(f.Red) == 0:
		return fmt.Sprintf("on %s only; it passes on %s", cmp.Or(platform, "this job"), strings.Join(f.Green, ", "))
	}
	return fmt.Sprintf("on %s, %s; it passes on %s", cmp.Or(platform, "this job"), strings.Join(f.Red, ", "), strings.Join(f.Green, ", "))
}
