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

// Analysis is the result of comparing a run with its history. All reports are printed from it and
// compute nothing themselves. Texts from tests are unchanged, so reports must print them with
// [reports.Visible]. Shares are from 0 to 1. Lists may be nil.
type Analysis struct {
	Run      reports.Run      // the analyzed run
	Root     string           // as in Options
	Previous *history.RunLine // the baseline run, as in Baseline; nil if there is none
	Headline Headline

	Baseline   *Baseline // how Previous was chosen; nil if the run has no results of suites
	Quarantine []Held    // entries of the ledger, in its order
	Failures   []Failure // all failures of the run, sorted by [AllWhose]

	Counts  reports.Counts
	Rate    reports.Rate // passed/(passed+failed)
	RateAll reports.Rate // passed/all, including skipped and pending specs
	Target  *Target      // nil if there is none

	Attention []Attention // most urgent first
	Outside   []Outside   // failures outside of specs in this run, and those of the baseline run that are fixed; sorted by kind
	Moves     []Move      // specs that changed state or fail, sorted by kind
	Blocked   int         // number of specs that could not run because a build, a set-up or a process failed
	Matrix    Matrix      // specs by state in the baseline run and in this run
	Paired    McNemar     // test of whether more specs broke than were fixed, or fewer
	Green     []GreenTurn // specs and limits that stopped failing, with the cause
	Clusters  []Cluster   // groups of at least two failures of this run, largest first
	Flakes    []Flake     // flaky specs of the window, most certain first
	Slowest   []Slow      // slowest specs of this run, slowest first, at most MaxSlowest
	Slowing   []Slowing   // specs that became slower within the window, at a false discovery rate of 5%, worst first

	Longer []Longer // specs that took much longer in this run than before, worst first, at most MaxSlowest

	Phases     []Phase // phases of the plan, oldest first
	Overall    *Phase  // from the end of the first phase to the end of the last; nil if fewer than two have ended
	Categories []Category
	Trend      Trend
	Forecast   *Forecast // nil if none is possible
	NoForecast string    // why Forecast is nil; "" without a target
	Heat       Heat
	Past       map[string][]PastFailure // earlier failures of the first specs of Attention, by [reports.Spec.Key]; newest first
	Outcomes   Outcomes                 // outcomes of every spec of the run in the window
	Ledger     []LedgerLine             // changes of limits, newest first
	Facts      []reports.Fact           // environment and random seeds of the run
	Notes      []string                 // further remarks: censored rates, focus, uncommitted changes

	Figures       []Figure         // Go benchmarks, in the order of the run
	Series        []Series         // measured figures over the runs of the window, those of the newest run first
	FiguresBefore *history.RunLine // run of Figure.Before; nil if no earlier run has benchmarks

	// Derived from the measurements of the run. The command flujo-harness cost measures both in full,
	// without a run, and sets these fields itself.
	Curve       []harness.Point    // share of durability in the time of a run, by the duration of a step
	Attribution *harness.Waterfall // parts of the time of a run
}

// Options configures an analysis. The zero value analyzes the newest run, without a target, phases,
// limits and source.
type Options struct {
	Run    int64              // ID of the run; 0 means the newest
	Window int                // number of runs analyzed for flakes, slowing specs and the trend; 0 means DefaultWindow
	Plan   *reports.Plan      // targets and phases; may be nil
	Limits []*thresholds.File // limits files, for their ledgers

	Against string // branch, number or commit of the run to compare with; if "", see [Baseline]

	// Ancestry returns the ancestors of the commit of a run that does not record them, by asking git.
	// base is its base branch, or "" if that is unknown. Ancestry may be nil.
	Ancestry func(ctx context.Context, run reports.Run, base string) reports.Ancestry

	Quarantine *quarantine.Ledger // may be nil

	Root   string    // folder of the module, which contains attached files; "" if unknown
	Source Source    // source of the code under test; nil if not available
	Now    time.Time // time at which expiry dates are evaluated; zero means the start of the run
}

// DefaultWindow is the default of [Options.Window].
const DefaultWindow = 200

// MaxSlowest is the maximum length of [Analysis.Slowest] and [Analysis.Longer].
const MaxSlowest = 20

// Source reads files of the code under test. File returns a file at a commit; path is relative to
// the root of the module, with slashes. If it returns an error, the cause of a change is unknown.
type Source interface {
	File(ctx context.Context, commit, path string) ([]byte, error)
}

// ErrNoRuns reports a history without runs.
var ErrNoRuns = errors.New("the history has no run yet")

// Headline is the outcome of the run in words.
type Headline struct {
	Outcome thresholds.Outcome
	Word    string   // "BROKEN"
	Reason  string   // reason, without a full stop
	Next    []string // remedies; never empty
}

// Target is a target pass rate of the specs that ran, and the distance to it.
type Target struct {
	Share    float64      // 0.985
	MaxFail  int          // maximum number of failures at which it is reached
	ToGo     int          // number of fixes needed; 0 if reached
	Reached  bool         // false if no spec ran
	Certain  bool         // the lower end of the Wilson interval reaches it, too
	Progress reports.Rate // fixes made of those needed since the first run of the window; Of is 0 if none were needed
}

// AttentionKind is the reason why a spec needs attention.
type AttentionKind string

// Kinds of attention, most urgent first. Flaky specs that fail in this run precede those that
// pass.
const (
	SuiteBroken AttentionKind = "suite failed"  // a failure outside of specs, see Outside
	NewlyBroken AttentionKind = "newly broken"  // fails, but did not fail or did not exist in the baseline run
	FailingNow  AttentionKind = "failing"       // fails, and there is no baseline run
	FailingOn   AttentionKind = "still failing" // fails, and failed in the baseline run
	FlakyNow    AttentionKind = "flaky"         // passed only when retried, or is in Analysis.Flakes
	LongFailing AttentionKind = "long failing"  // has failed in at least three consecutive runs
)

// Attention is a spec or a failure outside of specs that needs attention.
type Attention struct {
	Kind    AttentionKind
	Spec    *reports.Spec // never nil; Outside.Spec for a failure outside of specs
	Outside *Outside      // nil for a spec
	Message string        // message of the failure; for a flaky spec that passed, of its last failure
	Rerun   string        // command that runs only this spec; "" if its runner is unknown
	Owner   string        // value of the label "owner:", or ""
	Age     Age           // failure streak
	Cluster int           // index in Analysis.Clusters, or -1
	Flake   *Flake        // for a flaky spec; nil if it was only retried in this run
}

// Age is a failure streak: consecutive runs in which a spec failed.
type Age struct {
	Since      *history.RunLine // first run of the streak; nil if Runs is 0
	Runs       int              // length of the streak, including this run
	LastPassed *history.RunLine // nil if it never passed
	Known      bool             // false if the streak may have started before the history
}

// Move is the transition of one spec from the baseline run to this run.
type Move struct {
	Kind   reports.Kind
	Spec   *reports.Spec // spec of this run, or of the baseline run if it is gone; never nil
	Before reports.State // "" if it did not exist
	Now    reports.State // "" if it is gone
	From   string        // for a renamed spec, its former name with the suite
	Like   float64       // for a renamed spec, the similarity of the names, 0 to 1
}

// MatrixStates are the rows and columns of a [Matrix], in order.
var MatrixStates = []reports.State{reports.Passed, reports.Failed, reports.Skipped, reports.Pending, ""}

// Matrix counts specs by their state in the baseline run and in this run; "" means that the spec
// does not exist. A renamed spec counts once.
type Matrix struct {
	Compared bool // false if there is no baseline run; then all specs are in the row ""
	N        map[reports.State]map[reports.State]int
}

// At returns the number of specs with the given states in the baseline run and in this run.
func (m Matrix) At(before, now reports.State) int { return m.N[before][now] }

// McNemar is the exact McNemar test on the specs that failed in one of two runs and passed in the
// other. The null hypothesis is that both directions are equally likely. See [newMcNemar].
type McNemar struct {
	Fixed, Broke int
	P            float64 // two-sided, exact; 1 if no spec changed
	Repeated     bool    // either commit has several runs; otherwise P assumes that specs are deterministic, so read the counts
}

// Cause is the cause of a [GreenTurn].
type Cause string

// Causes. Only ProductChanged shows that a defect was fixed.
const (
	ProductChanged Cause = "product change"    // other code than the body of the spec changed
	BodyChanged    Cause = "spec body changed" // other code may have changed, too
	LimitLoosened  Cause = "limit loosened"    //
	ByRetry        Cause = "retry"             // an attempt failed in this run
	BySkip         Cause = "skip"              // skipped, pending or gone: it did not run
	ByRename       Cause = "rename"            // the failed spec no longer exists under its old name
	FileChanged    Cause = "spec file changed" // other lines of the spec's file changed
	NothingChanged Cause = "nothing changed"   // both runs tested the same commit: a flake
	ByFlake        Cause = "flake"             // it both passed and failed in the baseline run
	CauseUnknown   Cause = "unknown"           // the source is not available
)

// GreenTurn is a spec or a limit that failed in the baseline run and does not fail now.
type GreenTurn struct {
	Move     Move   // zero for a limit
	Limit    string // workload and durability of a limit; "" for a spec
	Cause    Cause
	Evidence string // evidence of the cause, a sentence without a full stop
}

// Cluster is a group of failures of one run with the same message, apart from variable parts.
type Cluster struct {
	Message string          // message of the first failure
	Pattern string          // message without numbers, addresses, times and quoted texts
	Place   string          // "file.go:12" if all of them fail at one location
	Specs   []*reports.Spec // in the order of the results
	Since   int             // longest failure streak among them, in runs
}

// Flake is a flaky spec: it passed and failed without a change that explains it.
type Flake struct {
	Spec      reports.Spec    // as in the last run that contains it
	Flaked    reports.Rate    // runs in which it flaked, of those in which it ran
	Low, High float64         // 95% Wilson interval of Flaked
	Certain   int             // flaked runs with both outcomes at one commit or in one run
	Flips     int             // number of changes of outcome in the window
	Censored  bool            // retries stop at the first pass, so the rate of failed attempts is unknown
	Last      history.RunLine // the last run in which it flaked
}

// Slow is the duration of a spec.
type Slow struct {
	Spec   reports.Spec
	Share  float64       // share of the time of all specs of the run
	Median time.Duration // median of its passes without retries in the newest runs, including this one; 0 if there are none
}

// Slowing is a spec that became slower within the window.
type Slowing struct {
	Spec         reports.Spec
	Before, Now  time.Duration // medians of the older and the newer runs
	Ratio        float64       // Now over Before
	NBefore      int           // number of older runs
	NNow         int           // number of newer runs
	P            float64       // one-sided exact Mann-Whitney test
	Tested       int           // number of specs in the Benjamini-Hochberg procedure
	Significance float64       // adjusted P
}

// Longer is a spec that took much longer in this run than before. Since it is based on one run, it
// is a hint rather than a statistical finding such as [Slowing].
type Longer struct {
	Spec   reports.Spec
	Before time.Duration // median of its passes in earlier runs
	Now    time.Duration
	N      int // number of these passes
}

// Phase is a phase of the plan, from the end of the previous phase to its own end.
type Phase struct {
	Name    string
	From    *history.RunLine // last run of the previous phase; nil if there is none
	To      *history.RunLine // last run of the phase; nil if there is none in the history
	Open    bool             // it has not ended; To is its newest run
	Target  *Target          // target at its end; nil if there is none
	Fewer   reports.Rate     // reduction of failures, of those at From; Good is negative for an increase
	Paired  McNemar          // test between From and To
	Rate    reports.Rate     // pass rate at its end
	RateAll reports.Rate
	Counts  reports.Counts
}

// Category counts the specs with one value of the label "category:".
type Category struct {
	Name   string // "" for specs without the label
	Counts reports.Counts
	Failed int // number that failed in the baseline run, by their category in this run
	Rate   reports.Rate
}

// Trend is the pass rate over the runs of the window, oldest first.
type Trend struct {
	Points   []history.RunLine
	Origins  map[int64]reports.Origin // origins of Points by run ID, without ancestors
	Measured map[int64]string         // what those of Points that ran no tests measured, by run ID: "5 benchmarks compared: 1 broken, 4 held"; only of the newest runs
	Older    int                      // number of runs before the window
	Changes  []ChangePoint
	Limits   []LimitChange
	Method   string // how change points are found, with its source
}

// ChangePoint is a run at which the level of the pass rate changed significantly.
type ChangePoint struct {
	At     int          // index in Trend.Points of the first run of the new level
	Before reports.Rate // pass rate since the previous change point
	After  reports.Rate // pass rate up to the next change point
	P      float64      // p-value, see Trend.Method
}

// LimitChange is a change of a limit within the trend.
type LimitChange struct {
	At   int // index in Trend.Points of the first run after it; len(Points) if there is none
	Line LedgerLine
}

// LedgerLine is one change of a limit.
type LedgerLine struct {
	Entry   thresholds.Entry
	Class   string // class of machine
	Path    string // limits file
	Expired bool   // a loosening whose expiry date has passed
	Current bool   // a loosening that is in effect
	Judged  bool   // the run was judged by this limit
}

// Forecast estimates the number of further runs until the target is reached if the number of
// failures keeps changing as before. It exists only if its interval is bounded.
type Forecast struct {
	Runs      float64 // most likely
	Low, High int     // 95% prediction interval, in runs
	N         int     // number of differences between runs that it is based on
	Method    string
}

// Heat is the matrix of the outcomes of flaky specs.
type Heat struct {
	Runs []history.RunLine // columns, oldest first
	Rows []HeatRow
}

// HeatRow is one spec. Cells has a character per run: "." passed, "F" failed, "R" passed when
// retried, "B" passed and failed when repeated, "s" skipped, "p" pending, " " absent.
type HeatRow struct {
	Spec  reports.Spec
	Cells string
}
