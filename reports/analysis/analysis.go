package analysis

import (
	"context"
	"errors"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/quarantine"
	"github.com/flujo/flujo-harness/thresholds"
)

// Analysis is everything that a report tells of one run in the light of its history.
// Pages, texts and machine formats print it and work nothing out again. Texts in it
// are as others wrote them: whoever shows them uses [Visible]. Lists that are nil
// have nothing to tell; shares are between 0 and 1.
type Analysis struct {
	Run      reports.Run      // that is told of, with its results, comparisons and verdicts
	Previous *history.RunLine // that specs are compared with, which is that of Baseline; nil: none
	Headline Headline

	Baseline   *Baseline // how Previous was chosen; nil where the run has no results of suites
	Quarantine []Held    // the entries of the ledger, in its order
	Failures   []Failure // everything that is red in the run, and whose it is, by [AllWhose]

	Counts  reports.Counts
	Rate    reports.Rate // passed of passed and failed, with its Wilson band: Rate.Band
	RateAll reports.Rate // passed of all, skipped and pending ones too
	Target  *Target      // nil: none was asked for

	Attention []Attention // what to do first, the most urgent first
	Outside   []Outside   // every failure outside the specs of this run and, where it is no more, of the run before; sorted by kind
	Moves     []Move      // every spec that moved or fails, sorted by kind; those that pass or are left out in both runs are not here
	Blocked   int         // specs that a failed build, set-up or process kept from running
	Matrix    Matrix      // of all specs by their state before and now
	Paired    McNemar     // whether more broke than were fixed, or fewer
	Green     []GreenTurn // of the moves: each way to stop failing, and why
	Clusters  []Cluster   // of the failures of this run, the largest first; none of a failure that stands alone
	Flakes    []Flake     // of the window, the surest first
	Slowest   []Slow      // of this run, the slowest first, at most MaxSlowest
	Slowing   []Slowing   // of the window, those that pass Benjamini-Hochberg at 5%, the worst first

	Longer []Longer // of this run, those that took far longer than they did, the worst first, at most MaxSlowest

	Phases     []Phase // of the plan, oldest first
	Overall    *Phase  // from the end of the first phase to the end of the last; nil: fewer than two have ended
	Categories []Category
	Trend      Trend
	Forecast   *Forecast // nil: none can be made, and NoForecast says why
	NoForecast string    // "" where no target was asked for
	Heat       Heat
	Past       map[string][]PastFailure // by [reports.Spec.Key], of the first specs of Attention: each distinct failure once, the newest first
	Outcomes   Outcomes                 // of every spec of the run in the window
	Ledger     []LedgerLine             // changes of limits, the newest first
	Facts      []reports.Fact           // environment and seeds of the run
	Notes      []string                 // what else must be said: censored rates, focus, a dirty tree

	Figures       []Figure         // of Go benchmarks, in the order of the run
	Series        []Series         // measured figures over the runs of the window, those of the newest run first
	FiguresBefore *history.RunLine // that they stand beside; nil: no run before has any

	// Of what the run has measured. flujo-harness cost measures both in full and is of no
	// run: whoever has its figures puts them here.
	Curve       []harness.Point    // share of durability by the length of a step
	Attribution *harness.Waterfall // what a run is made of
}

// Options says what an account is to look at. The zero value is good: the
// newest run, no target, no phases, no ledger, no source.
type Options struct {
	Run    int64              // number of the run; 0: the newest
	Window int                // runs looked at for flakes, slowing specs, trend and heat; 0: DefaultWindow
	Plan   *reports.Plan      // targets and phases; nil: none
	Limits []*thresholds.File // their ledgers

	Against string // branch, number or commit of the run to compare with; "": see [Baseline]

	// Ancestry asks git for the ancestors of the commit of a run that does not record them,
	// towards its base branch, which may be ""; nil: there is no git.
	Ancestry func(ctx context.Context, run reports.Run, base string) reports.Ancestry

	Quarantine *quarantine.Ledger // nil: none

	Source Source    // of the code under test; nil: it is not there
	Now    time.Time // decides whether a loosening has expired; zero: the start of the run
}

// DefaultWindow is the number of runs that an account looks at.
const DefaultWindow = 200

// MaxSlowest is the most specs in Account.Slowest.
const MaxSlowest = 20

// Source gives a file of the code under test as it was at a commit; the path is
// relative to the root of the module, with slashes. An error means that it is not
// there: the account then says that it does not know.
type Source interface {
	File(ctx context.Context, commit, path string) ([]byte, error)
}

// ErrNoRuns is a history without the runs that an account is about.
var ErrNoRuns = errors.New("the history has no run yet")

// Headline is the verdict on the run in words.
type Headline struct {
	Outcome thresholds.Outcome
	Word    string   // "BROKEN"
	Reason  string   // why, without a full stop
	Next    []string // what to do; never empty
}

// Target is a pass rate to reach, and how far it is. Of the specs that ran, the
// skipped ones outside.
type Target struct {
	Share    float64      // 0.985
	MaxFail  int          // the most failures with which it is reached
	ToGo     int          // fixes that are missing; 0: reached
	Reached  bool         // never where nothing ran
	Certain  bool         // reached, and so is it by the lower end of the Wilson band
	Progress reports.Rate // fixes made of those needed since the first run of the window; Of is 0 where it began reached
}

// AttentionKind is why a spec is listed first.
type AttentionKind string

// The kinds, the most urgent first. Of those that are flaky, the ones that fail in this
// run come before all that passed.
const (
	SuiteBroken AttentionKind = "suite failed"  // a failure outside the specs: Outside says which
	NewlyBroken AttentionKind = "newly broken"  // fails, and did not in the run before, or was not there
	FailingNow  AttentionKind = "failing"       // fails, and there is no earlier run to compare with
	FailingOn   AttentionKind = "still failing" // fails, and did in the run before
	FlakyNow    AttentionKind = "flaky"         // passed only when retried in this run, or is among Account.Flakes
	LongFailing AttentionKind = "long failing"  // fails, and has for at least three runs in a row
)

// Attention is one thing to look at.
type Attention struct {
	Kind    AttentionKind
	Spec    *reports.Spec // never nil; of a failure outside the specs: Outside.Spec
	Outside *Outside      // nil of a spec
	Message string        // of the failure; of a flaky spec the last one known
	Rerun   string        // command that runs only this spec; "" where its runner is not known
	Owner   string        // of a label "owner:…", "" where there is none
	Age     Age           // of what fails
	Cluster int           // place in Account.Clusters, -1: in none
	Flake   *Flake        // of a flaky one, nil where it was only rescued in this run
}

// Age says since when a spec fails without a pass in between.
type Age struct {
	Since      *history.RunLine // the first run of the row of failures; nil where Runs is 0
	Runs       int              // in the row, this one included
	LastPassed *history.RunLine // nil: it never did
	Known      bool             // false: older runs may have failed too, they are not in the history
}

// Move is how one spec moved since the run before.
type Move struct {
	Kind   reports.Kind
	Spec   *reports.Spec // as it is now, in the results of the run; of a spec that is gone, as it was; never nil
	Before reports.State // "" where it was not there
	Now    reports.State // "" where it is gone
	From   string        // of a renamed one: what it was called, suite and all
	Like   float64       // of a renamed one: how alike the names are, 0 to 1
}

// MatrixStates are the rows and columns of a [Matrix], in order.
var MatrixStates = []reports.State{reports.Passed, reports.Failed, reports.Skipped, reports.Pending, ""}

// Matrix counts specs by state before and now; "" is not there. A renamed spec counts
// once, in the states that it had and has.
type Matrix struct {
	Compared bool // false: there is no earlier run, all are in the row ""
	N        map[reports.State]map[reports.State]int
}

// At is the number of specs that were in the one state and are in the other.
func (m Matrix) At(before, now reports.State) int { return m.N[before][now] }

// McNemar is the exact test on the specs that failed in one of two runs and passed
// in the other: were it all chance, each would be as likely to go either way.
type McNemar struct {
	Fixed, Broke int
	P            float64 // two-sided, exact; 1 where nothing moved
	Repeated     bool    // either commit has several runs; false: read the counts and not P, as if specs were deterministic
}

// Cause of a green turn.
type Cause string

// The causes. Only the first is good news without a second look.
const (
	ProductChanged Cause = "product change"    // other code than the body of the spec changed
	BodyChanged    Cause = "spec body changed" // with or without the product
	LimitLoosened  Cause = "limit loosened"    //
	ByRetry        Cause = "retry"             // an attempt failed in this run
	BySkip         Cause = "skip"              // skipped, pending or gone: it stopped failing by not running
	ByRename       Cause = "rename"            // what failed is there no more under its old name
	FileChanged    Cause = "spec file changed" // the body of the spec is the same, other lines of its file are not
	NothingChanged Cause = "nothing changed"   // the same commit: a flake
	ByFlake        Cause = "flake"             // it did both in the run before, so one pass more says nothing
	CauseUnknown   Cause = "unknown"           // the source is not there
)

// GreenTurn is one spec that failed in the run before and does not now.
type GreenTurn struct {
	Move     Move   // zero of a limit
	Limit    string // workload and durability of a limit that was broken and holds; "" of a spec
	Cause    Cause
	Evidence string // what the cause was told by, a sentence without a full stop
}

// Cluster is failures of one run that say the same.
type Cluster struct {
	Message string          // as the first of them says it
	Pattern string          // with numbers, addresses, times and quoted texts taken out
	Place   string          // "file.go:12" where all of them fail at one place
	Specs   []*reports.Spec // in the order of the results
	Since   int             // age in runs of the oldest of them
}

// Flake is a spec with both outcomes where nothing called for it.
type Flake struct {
	Spec      reports.Spec    // as in the last run that has it
	Flaked    reports.Rate    // runs in which it flaked of those in which it ran; the band is Wilson's
	Low, High float64         // the band
	Certain   int             // of the flaked runs, those with both outcomes at one commit or in one run
	Flips     int             // changes of outcome in the window
	Censored  bool            // attempts that stop at the first pass are among them: the rate of attempts that fail is not known
	Last      history.RunLine // the last run in which it flaked
}

// Slow is how long a spec takes.
type Slow struct {
	Spec   reports.Spec
	Share  float64       // of the time of all specs of the run
	Median time.Duration // of its passes without a retry in the newest runs, this one among them; 0: there is none
}

// Slowing is a spec that takes longer than it did.
type Slowing struct {
	Spec         reports.Spec
	Before, Now  time.Duration // medians of the older and the newer runs
	Ratio        float64       // Now over Before
	NBefore      int           // runs
	NNow         int           // runs
	P            float64       // one-sided, Mann-Whitney
	Tested       int           // specs tested together: Benjamini-Hochberg over so many
	Significance float64       // the adjusted P
}

// Longer is a spec that took far longer in this run than in the runs before. It is told from
// one run: a hint where to look, and no finding as [Slowing] is.
type Longer struct {
	Spec   reports.Spec
	Before time.Duration // median of its passes in the runs before
	Now    time.Duration
	N      int // runs before
}

// Phase is a stretch of work, from the end of the phase before it to its own end.
type Phase struct {
	Name    string
	From    *history.RunLine // its last run is compared with this one; nil: there is none before
	To      *history.RunLine // nil: no run of it yet or, where it is not open, none in the history
	Open    bool             // it has not ended: To is the newest run of it so far
	Target  *Target          // at its end; nil: none
	Fewer   reports.Rate     // failures fewer than before, of those before; Good is negative where there are more
	Paired  McNemar          // spec by spec between From and To
	Rate    reports.Rate     // at its end
	RateAll reports.Rate
	Counts  reports.Counts
}

// Category is the specs with one label "category:…".
type Category struct {
	Name   string // "" of those without one
	Counts reports.Counts
	Failed int // in the run before, by the category that they have now
	Rate   reports.Rate
}

// Trend is the pass rate over the runs of the window, the oldest first.
type Trend struct {
	Points  []history.RunLine
	Origins map[int64]reports.Origin // of those of Points that have one, without their ancestors
	Older   int                      // runs before the window
	Changes []ChangePoint
	Limits  []LimitChange
	Method  string // how change points are found, with its source
}

// ChangePoint is a place in the trend where the pass rate moved by more than chance
// explains.
type ChangePoint struct {
	At     int          // place in Trend.Points of the first run of the new level
	Before reports.Rate // over the runs since the change before
	After  reports.Rate // over the runs until the change behind
	P      float64      // of the place that divides best: Trend.Method
}

// LimitChange is a change of a limit beside the trend.
type LimitChange struct {
	At   int // place in Trend.Points of the first run after it; len(Points): later than all
	Line LedgerLine
}

// LedgerLine is one change of a limit.
type LedgerLine struct {
	Entry   thresholds.Entry
	Class   string // of the machine
	Path    string // of the limits file
	Expired bool   // a loosening whose time is over
	Current bool   // a loosening that is in force
	Judged  bool   // the run was judged by this limit
}

// Forecast says after how many more runs the target is reached if failures go on as
// they did. It is there only with a bounded interval.
type Forecast struct {
	Runs      float64 // most likely
	Low, High int     // runs; 95% prediction interval
	N         int     // changes between runs that it is made from
	Method    string
}

// Heat is the strip of outcomes of the flakes.
type Heat struct {
	Runs []history.RunLine // columns, the oldest first
	Rows []HeatRow
}

// HeatRow is one spec; Cells has a character for each run: "." passed, "F" failed,
// "R" passed when retried, "B" passed and failed when repeated, "s" skipped, "p" pending,
// " " not there.
type HeatRow struct {
	Spec  reports.Spec
	Cells string
}
