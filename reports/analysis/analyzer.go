package analysis

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// Analyze compares a run with its history. Errors are or wrap [ErrNoRuns], [history.ErrNoRun],
// [*AgainstError], [*reports.PlanError], and the errors of package history.
func Analyze(ctx context.Context, h *history.History, o Options) (*Analysis, error) {
	a := analyzer{ctx: ctx, o: o, a: &Analysis{Root: o.Root}}
	err := h.Read(ctx, func(r *history.Reader) error {
		a.Reader = r
		return a.analyze()
	})
	if err != nil {
		return nil, err
	}
	return a.a, nil
}

// analyzer computes an analysis, one part after the other.
type analyzer struct {
	*history.Reader
	ctx     context.Context
	o       Options
	a       *Analysis
	row     history.Record           // row of the run
	was     *reports.Results         // results of the baseline run, nil if there is none
	ids     map[reports.Digest]int64 // name IDs
	streaks map[*reports.Spec]Age    // failure streaks of the failed specs of the run
	w       *history.Window
	all     []history.Record // runs of the window, with or without results
	rest    int              // number of runs before them
	past    history.Filter   // the condition that selected them

	// For whose the failures are: see [Baseline] and [Failure].
	chooser     chooser
	recorded    map[int64]history.Record         // the runs that it chooses from
	baseResults *reports.Results                 // of the baseline, as they were recorded
	barrier     *barrier                         // of baseResults
	listed      map[reports.Digest]*reports.Spec // of baseResults
	base        *history.Window                  // nil until something is looked up
	column      map[int64]int                    // places of runs in base
	later       map[int64]bool                   // runs of chooser.later
	evidence    map[int64]bool                   // runs that flakes are known by
	known       *sequences
	outside     map[int64]outsides
	sameWhy     map[[2]*history.RunLine]string // the evidence of what failed before, by the runs that it names
	platforms   platformStates
	tries       map[reports.Digest]reports.Rate // failed attempts in the other runs of the commit of the run
	both        map[reports.Digest]bool         // specs that passed and failed at that commit, the tree without changes
}

func (a *analyzer) analyze() error {
	for _, part := range []func() error{a.choose, a.compare, a.readWindow, a.addOutside, a.addBenchmarks, a.addSeries, a.noteSlowerSteps, a.addFixCauses, a.addPhases, a.addStreaks, a.judgeFailures, a.addQuarantine} {
		if err := part(); err != nil {
			return err
		}
	}
	a.addTrend()
	a.addTarget()
	a.addRun()
	return a.recallFailures()
}

// choose loads the run and its counts.
func (a *analyzer) choose() error {
	which, args := "ORDER BY at DESC, id DESC LIMIT 1", []any(nil)
	if a.o.Run != 0 {
		which, args = "WHERE id = ?", []any{a.o.Run}
	}
	rows, err := a.Rows(which, args...)
	switch {
	case err != nil:
		return err
	case len(rows) == 0 && a.o.Run != 0:
		return fmt.Errorf("run %d: %w", a.o.Run, history.ErrNoRun)
	case len(rows) == 0:
		return ErrNoRuns
	}
	a.row = rows[0]
	if a.a.Run, err = a.Whole(a.row); err != nil {
		return err
	}
	if a.o.Now.IsZero() {
		a.o.Now = a.a.Run.Started
	}
	a.addCounts()
	return nil
}

func (a *analyzer) addCounts() {
	if a.a.Run.Suites != nil {
		a.a.Counts = a.a.Run.Suites.Counts()
	}
	a.a.Rate, a.a.RateAll = a.a.Counts.PassRate(), a.a.Counts.PassRateOfAll()
}

// compare selects the runs of the window: those of the branch, or all if the run is the first of
// its branch.
func (a *analyzer) compare() error {
	f := history.Filter{Which: history.EarlierRuns, Args: []any{a.row.At, a.row.ID}}
	first := false
	if branch := a.a.Run.Branch; branch != "" {
		mine, err := a.Count("has_suites AND complete AND branch = ? AND "+history.EarlierRuns, append([]any{branch}, f.Args...)...)
		if err != nil {
			return err
		}
		if first = mine == 0; !first {
			f.Which, f.Args = f.Which+" AND branch IN (?, '')", append(f.Args, branch)
		}
	}
	rows, err := f.Before(a.Reader, max(1, cmp.Or(a.o.Window, DefaultWindow)-1))
	if err != nil {
		return err
	}
	total, err := a.Count(f.Which, f.Args...)
	if err != nil {
		return err
	}
	a.past, a.rest = f, int(total)-len(rows)
	a.all = append(rows, a.row)
	if a.row.Rated {
		if err := a.chooseBaseline(a.ctx); err != nil {
			return err
		}
	}
	if p := a.a.Previous; p != nil && first && p.Branch != "" && p.Branch != a.a.Run.Branch {
		a.note("the first run of branch %s: it is compared with run %d of branch %s", text.OneLine(a.a.Run.Branch), p.ID, text.OneLine(p.Branch))
	}
	return nil
}

func (a *analyzer) note(format string, args ...any) {
	a.a.Notes = append(a.a.Notes, fmt.Sprintf(format, args...))
}

// readWindow reads the window from the history.
func (a *analyzer) readWindow() (err error) {
	for i := range a.all {
		a.a.Trend.Points = append(a.a.Trend.Points, a.all[i].Line())
	}
	if err := a.readOrigins(); err != nil {
		return err
	}
	a.a.Trend.Older = a.rest
	if a.w, err = a.Window(a.all, history.SlowWindow); err != nil {
		return err
	}
	names, err := a.Names()
	if err != nil {
		return err
	}
	a.ids = make(map[reports.Digest]int64, a.NameCount())
	for id, s := range names {
		a.ids[s.Digest()] = id
	}
	if err := a.addFlakes(); err != nil {
		return err
	}
	a.recordOutcomes()
	a.addDurations()
	if err := a.recall(); err != nil {
		return err
	}
	a.addMoves()
	return a.fillGone()
}

// readOrigins reads the origins of the runs of the trend.
func (a *analyzer) readOrigins() error {
	a.a.Trend.Origins = map[int64]reports.Origin{}
	for i := range a.all {
		o, err := a.Origin(a.all[i].ID)
		if err != nil {
			return err
		}
		o.Ancestors = nil // long, and used only for the analyzed run
		if !reflect.ValueOf(o).IsZero() {
			a.a.Trend.Origins[a.all[i].ID] = o
		}
	}
	return nil
}

// addRun computes the parts that need no history.
func (a *analyzer) addRun() {
	run := a.a.Run
	word, reason := headline(run, a.a.Blocked)
	a.a.Headline = Headline{Outcome: run.Outcome, Word: word, Reason: reason, Next: next(run)}
	a.a.Notes = append(a.a.Notes, notes(run)...)
	a.a.Facts = factsOf(run)
	a.addCategories()
	a.addCost()
	a.addLedger()
	a.addAttention()
}

func factsOf(run reports.Run) []reports.Fact {
	all := slices.Clone(run.Facts)
	add := func(name, value string) {
		if value != "" && !slices.Contains(all, reports.Fact{Name: name, Value: value}) {
			all = append(all, reports.Fact{Name: name, Value: value})
		}
	}
	add("command", run.Command)
	add("results", run.Format)
	if run.Suites != nil {
		for _, s := range run.Suites.Suites {
			if s.Seed != 0 {
				add("seed of "+s.Path, fmt.Sprint(s.Seed))
			}
		}
	}
	for _, c := range run.Comparisons {
		add("seed of the measurement of "+c.Name(), fmt.Sprint(c.Seed))
		e := c.Environment
		add("machine class", e.Class)
		add("machine", strings.Join(slices.DeleteFunc([]string{e.CPU, fmt.Sprintf("%d cores", e.Cores), e.OS + "/" + e.Arch, e.Kernel, e.Filesystem},
			func(s string) bool { return s == "" || s == "/" || s == "0 cores" }), ", "))
		add("Go", e.Go)
		add("SQLite driver", e.SQLite)
	}
	return all
}

// addCategories counts specs by the label "category:".
func (a *analyzer) addCategories() {
	if a.a.Run.Suites == nil {
		return
	}
	failed := map[reports.Digest]bool{}
	if a.was != nil {
		for i := range a.was.Specs {
			if s := &a.was.Specs[i]; s.State == reports.Failed {
				failed[s.Digest()] = true
			}
		}
	}
	by := map[string]*Category{}
	labelled := false
	for i := range a.a.Run.Suites.Specs {
		s := &a.a.Run.Suites.Specs[i]
		name, ok := reports.Label(s, "category:")
		labelled = labelled || ok
		c := by[name]
		if c == nil {
			c = &Category{Name: name}
			by[name] = c
		}
		c.Counts.Add(s)
		if failed[s.Digest()] {
			c.Failed++
		}
	}
	if !labelled {
		return
	}
	for _, c := range by {
		c.Rate = c.Counts.PassRate()
		a.a.Categories = append(a.a.Categories, *c)
	}
	slices.SortFunc(a.a.Categories, func(x, y Category) int {
		return cmp.Or(cmp.Compare(y.Counts.Failed, x.Counts.Failed), cmp.Compare(x.Name, y.Name))
	})
}

// addTrend finds change points and assigns changes of limits to runs.
func (a *analyzer) addTrend() {
	t := &a.a.Trend
	t.Method = changeMethod
	var shares []float64
	var places []int
	for i, p := range t.Points {
		if r := p.Counts.PassRate(); r.Of > 0 {
			shares, places = append(shares, r.Share()), append(places, i)
		}
	}
	at, ps := changePoints(shares)
	pool := func(from, to int) (r reports.Rate) {
		for _, i := range places[from:to] {
			one := t.Points[i].Counts.PassRate()
			r.Good, r.Of = r.Good+one.Good, r.Of+one.Of
		}
		return r
	}
	for i, k := range at {
		from, to := 0, len(places)
		if i > 0 {
			from = at[i-1]
		}
		if i+1 < len(at) {
			to = at[i+1]
		}
		t.Changes = append(t.Changes, ChangePoint{At: places[k], Before: pool(from, k), After: pool(k, to), P: ps[i]})
	}
}

// Day formats a date as in ledgers, YYYY-MM-DD in UTC.
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
