package render

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// jsonReport is an analysis for programs. Schema is incremented when a field is removed or changes
// its meaning, but not when one is added. Texts of tests are unchanged. Shares are between 0 and 1,
// and null for 0 of 0; times are in RFC 3339, durations in milliseconds.
type jsonReport struct {
	Schema      int                 `json:"schema"` // 1
	Verdict     jsonVerdict         `json:"verdict"`
	Runs        []jsonRun           `json:"runs"` // runs of the window, oldest first; the last is the analyzed one
	Target      *jsonTarget         `json:"target"`
	Outside     []jsonOutside       `json:"failures_outside_specs"`
	Baseline    *jsonBaseline       `json:"baseline"`    // null: nothing to compare with was looked for
	Failures    *ingest.Items       `json:"failures"`    // of jsonFailure: everything that is red, and whose it is
	Transitions *ingest.Items       `json:"transitions"` // of jsonTransition: every spec that moved or fails
	Green       *ingest.Items       `json:"green_turns"` // of jsonGreen
	Paired      jsonPaired          `json:"paired"`
	Clusters    []jsonCluster       `json:"clusters"`
	Flakes      []jsonFlake         `json:"flakes"`
	Phases      []jsonPhase         `json:"phases"`
	Overall     *jsonPhase          `json:"all_phases"`
	Costs       []jsonCost          `json:"durability"`
	Curve       []harness.Point     `json:"amortization"`
	Parts       []harness.Increment `json:"attribution"`
	Figures     []jsonFigure        `json:"benchmarks"`
	Loosenings  []string            `json:"loosenings_in_force"` // of limits that judged the run
	Notes       []string            `json:"notes"`
	LeftOut     string              `json:"left_out,omitempty"` // tests that the run did not reach
}

type jsonVerdict struct {
	Outcome  string   `json:"outcome"` // held, broken, inconclusive, invalid
	Reason   string   `json:"reason"`
	Next     []string `json:"next"`
	ExitCode int      `json:"exit_code"`
	Run      int64    `json:"run"`
	Previous *int64   `json:"previous"` // that specs are compared with
	Complete bool     `json:"complete"`
}

// jsonOutside is a failure of a build, a package or the set-up of a suite: of this run or, if it no
// longer exists, of the baseline run.
type jsonOutside struct {
	ID         string `json:"id"`   // the same from run to run: a hash of suite, node and occurrence
	Kind       string `json:"kind"` // broke, still failing, failing, flaky; if it no longer exists: fixed, gone, not run, flaky
	Failing    bool   `json:"failing"`
	Suite      string `json:"suite"`
	Node       string `json:"node"` // "build", "BeforeSuite", "package", …
	Occurrence int    `json:"occurrence"`
	Message    string `json:"message"`
	File       string `json:"file,omitempty"`
	Line       int    `json:"line,omitempty"`
	Runs       int    `json:"age_runs"`    // length of the failure streak, including this run; 0 if it no longer exists
	Since      *int64 `json:"since_run"`   // first run of the streak; null if it no longer exists
	Passed     *int64 `json:"last_passed"` // the last run of its suite without it; null: none is known
	NotRun     int    `json:"specs_not_run"`
}

// jsonBaseline is the run that the run is compared with.
type jsonBaseline struct {
	Run    *int64 `json:"run"` // null if there is none; Why is the reason
	Commit string `json:"commit,omitempty"`
	Why    string `json:"why"`
	Branch string `json:"base_branch,omitempty"`
	Exact  bool   `json:"exact"` // no commit lies between it and the change, as far as is known
	Depth  *int   `json:"commits_before_merge_base"`
}

// jsonFailure is the origin of a failure: "by this change", "red on main", "known flaky",
// "quarantined" or "unknown".
type jsonFailure struct {
	Whose string   `json:"whose"`
	Why   string   `json:"why"`
	Spec  jsonSpec `json:"spec"`      // of a failure outside the specs its suite and node
	Run   *int64   `json:"run"`       // in which it was looked up
	Since *int64   `json:"since_run"` // red on main: the first run of its row of failures
	Rate  *float64 `json:"flake_rate"`
	High  *float64 `json:"flake_rate_high"` // upper end of its 95% band
	P     *float64 `json:"p"`               // of a flake: chance of so many failures at that end
	Red   []string `json:"fails_on_too,omitempty"`
	Green []string `json:"passes_on,omitempty"`
}

func (r *jsonReport) addWhose(a *analysis.Analysis) {
	if b := a.Baseline; b != nil {
		r.Baseline = &jsonBaseline{Why: b.Why, Branch: b.Branch, Exact: b.Exact}
		if b.Run != nil {
			r.Baseline.Run, r.Baseline.Commit = &b.Run.ID, b.Run.Commit
		}
		if b.Depth >= 0 {
			r.Baseline.Depth = &b.Depth
		}
	}
	r.Failures = &ingest.Items{N: len(a.Failures), At: func(i int) any {
		f := &a.Failures[i]
		j := jsonFailure{Whose: string(f.Whose), Why: f.Why, Spec: newJSONSpec(f.Spec), Red: f.Red, Green: f.Green}
		if f.At != nil {
			j.Run = &f.At.ID
		}
		if f.Since != nil {
			j.Since = &f.Since.ID
		}
		if f.Flake != nil {
			rate := f.Flake.Flaked.Share()
			j.Rate, j.High, j.P = &rate, &f.Flake.High, &f.P
		}
		return j
	}}
}

// jsonRun is one run. total = passed + failed + skipped; passed includes flaky specs.
type jsonRun struct {
	ID          int64    `json:"id"`
	Started     string   `json:"started,omitempty"`
	Commit      string   `json:"commit,omitempty"`
	Branch      string   `json:"branch,omitempty"`
	Outcome     string   `json:"outcome"`
	Rated       bool     `json:"has_specs"` // if false, the counts are meaningless
	Total       int      `json:"total"`
	Passed      int      `json:"passed"`
	Failed      int      `json:"failed"`
	Skipped     int      `json:"skipped"` // pending ones too
	Pending     int      `json:"pending"` // of those skipped
	Flaky       int      `json:"flaky"`   // of those passed: only when retried
	Outside     int      `json:"failures_outside_specs"`
	PassRate    *float64 `json:"pass_rate"`
	PassRateAll *float64 `json:"pass_rate_all"`
	Low         *float64 `json:"pass_rate_low"` // Wilson, 95%
	High        *float64 `json:"pass_rate_high"`
}

type jsonTarget struct {
	Share   float64 `json:"share"`
	Reached bool    `json:"reached"`
	Certain bool    `json:"reached_by_lower_end_of_band"`
	ToGo    int     `json:"fixes_to_go"`
	MaxFail int     `json:"most_failures"`
}

type jsonSpec struct {
	ID         string   `json:"id"` // hash of suite, containers, leaf and occurrence
	Suite      string   `json:"suite"`
	Containers []string `json:"containers"`
	Leaf       string   `json:"leaf"`
	File       string   `json:"file,omitempty"`
	Line       int      `json:"line,omitempty"`
	Labels     []string `json:"labels"`
	Owner      string   `json:"owner,omitempty"`
	DurationMS float64  `json:"duration_ms"`
}

type jsonTransition struct {
	Kind    string   `json:"kind"`
	Before  string   `json:"before"`         // "" where it was not there
	Now     string   `json:"now"`            // "" where it is gone
	From    string   `json:"from,omitempty"` // of one that may have been renamed: its old name
	Like    float64  `json:"like,omitempty"` // how alike the names are, 0 to 1
	Spec    jsonSpec `json:"spec"`
	Message string   `json:"message,omitempty"`
	Rerun   string   `json:"rerun,omitempty"`
	Output  string   `json:"output,omitempty"` // what a spec that failed wrote

	Attachments []reports.Attachment `json:"attachments,omitempty"` // paths from the root of the module, or addresses
}

type jsonGreen struct {
	Spec     jsonSpec `json:"spec"` // without texts where it is a limit
	Limit    string   `json:"limit,omitempty"`
	Cause    string   `json:"cause"`
	Evidence string   `json:"evidence"`
}

type jsonPaired struct {
	Fixed    int     `json:"fixed"`
	Broke    int     `json:"broke"`
	P        float64 `json:"mcnemar_p"`
	Repeated bool    `json:"repeated"`
}

type jsonCluster struct {
	Message string   `json:"message"`
	Pattern string   `json:"pattern"`
	Place   string   `json:"place,omitempty"`
	Since   int      `json:"age_runs"`
	Specs   []string `json:"specs"` // ids
}

type jsonFlake struct {
	Spec     jsonSpec `json:"spec"`
	Flaked   int      `json:"flaked"`
	Ran      int      `json:"ran"`
	Low      float64  `json:"low"`
	High     float64  `json:"high"`
	Certain  int      `json:"certain"`
	Flips    int      `json:"flips"` // changes of outcome in the window
	Censored bool     `json:"censored"`
}

type jsonPhase struct {
	Name        string   `json:"name"`
	Run         *int64   `json:"run"` // its last one
	Open        bool     `json:"open"`
	Failed      int      `json:"failed"`
	FewerBy     int      `json:"fewer_failures"`
	FailedFirst int      `json:"failures_before"`
	FewerShare  *float64 `json:"fewer_share"`
	PassRate    *float64 `json:"pass_rate"`
	PassRateAll *float64 `json:"pass_rate_all"`
	ToGo        *int     `json:"fixes_to_go"`
}

type jsonCost struct {
	Workload   string   `json:"workload"`
	Durability string   `json:"durability"`
	Outcome    string   `json:"outcome"` // "" where nothing was judged
	Ratio      *float64 `json:"cost_ratio"`
	RatioLow   *float64 `json:"cost_ratio_low"` // 95%; null: too few
	RatioHigh  *float64 `json:"cost_ratio_high"`
	Limit      *float64 `json:"limit"`
	CostUS     *float64 `json:"cost_us"` // a run
	CostLow    *float64 `json:"cost_us_low"`
	CostHigh   *float64 `json:"cost_us_high"`
	N          int      `json:"n"`
	Of         string   `json:"n_of"`
}

type jsonFigure struct {
	Name   string      `json:"name"`
	Unit   string      `json:"unit"`
	Now    jsonMedian  `json:"now"`
	Before *jsonMedian `json:"before"`     // null: no earlier run has it
	Run    *int64      `json:"before_run"` // likewise
}

type jsonMedian struct {
	Median float64  `json:"median"`
	Low    *float64 `json:"low"` // 95%; null: too few results
	High   *float64 `json:"high"`
	N      int      `json:"n"`
}

func newJSONMedian(e *harness.Estimate) jsonMedian {
	low, high := endsOf(e)
	return jsonMedian{Median: e.Value, Low: low, High: high, N: e.N}
}

// endsOf returns the ends of the interval, or nil if there is none.
func endsOf(e *harness.Estimate) (low, high *float64) {
	if !text.Estimated(*e) || !e.Bounded() {
		return nil, nil
	}
	return &e.Low, &e.High
}

// WriteJSON writes the analysis for programs.
func WriteJSON(w io.Writer, a *analysis.Analysis) error {
	r := jsonReport{Schema: 1, Runs: jsonRuns(a), Outside: []jsonOutside{}, Clusters: []jsonCluster{}, Flakes: []jsonFlake{},
		Phases: []jsonPhase{}, Costs: []jsonCost{}, Curve: append([]harness.Point{}, a.Curve...), Parts: []harness.Increment{}, Figures: []jsonFigure{}, Loosenings: []string{}, Notes: append([]string{}, a.Notes...), LeftOut: a.Run.LeftOut(),
		Verdict: jsonVerdict{Outcome: a.Headline.Outcome.String(), Reason: a.Headline.Reason, Next: a.Headline.Next, ExitCode: a.Run.ExitCode, Run: a.Run.ID, Complete: a.Run.Complete},
		Paired:  jsonPaired{a.Paired.Fixed, a.Paired.Broke, a.Paired.P, a.Paired.Repeated}}
	if a.Previous != nil {
		r.Verdict.Previous = &a.Previous.ID
	}
	if t := a.Target; t != nil {
		r.Target = &jsonTarget{t.Share, t.Reached, t.Certain, t.ToGo, t.MaxFail}
	}
	r.addOutside(a)
	r.addWhose(a)
	r.addSpecs(a)
	for _, p := range a.Phases {
		r.Phases = append(r.Phases, newJSONPhase(p))
	}
	if a.Overall != nil {
		p := newJSONPhase(*a.Overall)
		r.Overall = &p
	}
	for i := range a.Run.Comparisons {
		c := &a.Run.Comparisons[i]
		cost := jsonCost{Workload: c.Workload, Durability: c.Durability, N: c.CostRatio.N, Of: c.CostRatio.Of}
		cost.RatioLow, cost.RatioHigh = endsOf(&c.CostRatio)
		cost.CostLow, cost.CostHigh = endsOf(&c.Cost)
		if text.Estimated(c.CostRatio) {
			cost.Ratio = &c.CostRatio.Value
		}
		if text.Estimated(c.Cost) {
			cost.CostUS = &c.Cost.Value
		}
		if v := a.Run.VerdictFor(c); v != nil {
			cost.Outcome = v.Outcome.String()
			if v.Limit != 0 {
				cost.Limit = &v.Limit
			}
		}
		r.Costs = append(r.Costs, cost)
	}
	if a.Attribution != nil {
		r.Parts = append(r.Parts, a.Attribution.Increments...)
	}
	for _, f := range a.Figures {
		j := jsonFigure{Name: f.Name, Unit: f.Unit, Now: newJSONMedian(&f.Now)}
		if f.Before != nil {
			m := newJSONMedian(f.Before)
			j.Before, j.Run = &m, &a.FiguresBefore.ID
		}
		r.Figures = append(r.Figures, j)
	}
	for _, l := range a.InForce() {
		r.Loosenings = append(r.Loosenings, ledgerText(l))
	}
	if err := ingest.EncodeVisibly(w, r, " ", r.Failures, r.Transitions, r.Green); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

func (r *jsonReport) addOutside(a *analysis.Analysis) {
	for i := range a.Outside {
		o := &a.Outside[i]
		s := o.Spec()
		j := jsonOutside{ID: specID(&s), Kind: string(o.Kind), Failing: o.Now, Suite: o.Suite, Node: o.Failure.Node, Occurrence: o.Occurrence,
			Message: o.Failure.Message, File: o.Failure.File, Line: o.Failure.Line, NotRun: o.NotRun}
		if o.Now {
			j.Runs, j.Since = max(1, o.Age.Runs), &a.Run.ID
			if o.Age.Runs > 1 {
				j.Since = &o.Age.Since.ID
			}
			if o.Age.LastPassed != nil {
				j.Passed = &o.Age.LastPassed.ID
			}
		}
		r.Outside = append(r.Outside, j)
	}
}

func (r *jsonReport) addSpecs(a *analysis.Analysis) {
	rerun := map[reports.Digest]string{}
	for _, t := range a.Attention {
		rerun[t.Spec.Digest()] = t.Rerun
	}
	r.Transitions = &ingest.Items{N: len(a.Moves), At: func(i int) any {
		m := &a.Moves[i]
		return jsonTransition{Kind: string(m.Kind), Before: string(m.Before), Now: string(m.Now), From: m.From, Like: m.Like,
			Spec: newJSONSpec(m.Spec), Message: m.Spec.Message, Rerun: rerun[m.Spec.Digest()], Output: m.Spec.Output, Attachments: safe(m.Spec.Attachments)}
	}}
	r.Green = &ingest.Items{N: len(a.Green), At: func(i int) any {
		g := &a.Green[i]
		return jsonGreen{newJSONSpec(g.Move.Spec), g.Limit, string(g.Cause), g.Evidence}
	}}
	for _, c := range a.Clusters {
		j := jsonCluster{Message: c.Message, Pattern: c.Pattern, Place: c.Place, Since: c.Since}
		for i := range c.Specs {
			j.Specs = append(j.Specs, specID(c.Specs[i]))
		}
		r.Clusters = append(r.Clusters, j)
	}
	for i := range a.Flakes {
		f := &a.Flakes[i]
		r.Flakes = append(r.Flakes, jsonFlake{newJSONSpec(&f.Spec), f.Flaked.Good, f.Flaked.Of, f.Low, f.High, f.Certain, f.Flips, f.Censored})
	}
}

// jsonRuns are the runs of the window; the run itself is the last.
func jsonRuns(a *analysis.Analysis) []jsonRun {
	var all []jsonRun
	for _, l := range a.Trend.Points {
		if l.ID != a.Run.ID {
			all = append(all, newJSONRun(l))
		}
	}
	r := a.Run
	return append(all, newJSONRun(history.RunLine{ID: r.ID, Started: r.Started, Commit: r.Commit, Branch: r.Branch, Outcome: r.Outcome, Rated: r.Suites != nil, Counts: a.Counts, Suites: outsideCount(r)}))
}

// outsideCount is the number of failures outside the specs.
func outsideCount(r reports.Run) int {
	if r.Suites == nil {
		return 0
	}
	return r.Suites.SuiteFailures()
}

func newJSONRun(l history.RunLine) jsonRun {
	c := l.Counts
	j := jsonRun{ID: l.ID, Commit: l.Commit, Branch: l.Branch, Outcome: l.Outcome.String(), Rated: l.Rated, Total: c.All(), Passed: c.Passed, Failed: c.Failed,
		Skipped: c.Skipped + c.Pending, Pending: c.Pending, Flaky: c.Retried, Outside: l.Suites, PassRate: shareOf(c.PassRate()), PassRateAll: shareOf(c.PassRateOfAll())}
	if !l.Started.IsZero() {
		j.Started = l.Started.UTC().Format(time.RFC3339Nano)
	}
	if j.PassRate != nil {
		low, high := c.PassRate().Band()
		j.Low, j.High = &low, &high
	}
	return j
}

// shareOf returns the share, or nil for 0 of 0.
func shareOf(r reports.Rate) *float64 {
	if r.Of == 0 {
		return nil
	}
	s := r.Share()
	return &s
}

func newJSONPhase(p analysis.Phase) jsonPhase {
	j := jsonPhase{Name: p.Name, Open: p.Open, Failed: p.Counts.Failed, FewerBy: p.Fewer.Good, FailedFirst: p.Fewer.Of,
		FewerShare: shareOf(p.Fewer), PassRate: shareOf(p.Rate), PassRateAll: shareOf(p.RateAll)}
	if p.To != nil {
		j.Run = &p.To.ID
	}
	if p.Target != nil {
		j.ToGo = &p.Target.ToGo
	}
	return j
}

func newJSONSpec(s *reports.Spec) jsonSpec {
	return jsonSpec{ID: specID(s), Suite: s.Suite, Containers: append([]string{}, s.Containers...), Leaf: s.Leaf, File: s.File, Line: s.Line,
		Labels: append([]string{}, s.Labels...), Owner: reports.OwnerOf(s), DurationMS: float64(s.Duration) / float64(time.Millisecond)}
}

// specID returns an identifier of a spec that is valid in file names, URLs and HTML.
func specID(s *reports.Spec) string {
	id := s.Digest()
	return hex.EncodeToString(id[:8])
}
