package reports

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Analyze compares a run with its history. The error is [ErrNoRuns], [ErrNoRun], a [*DamagedError] or
// an [*InUseError].
func Analyze(ctx context.Context, h *History, o AccountOptions) (*Account, error) {
	a := accountant{ctx: ctx, o: o, a: &Account{}}
	err := h.read(ctx, func(r *reader) error {
		a.reader = r
		return a.account()
	})
	if err != nil {
		return nil, err
	}
	return a.a, nil
}

// accountant fills in an account, one part after the other.
type accountant struct {
	*reader
	ctx  context.Context
	o    AccountOptions
	a    *Account
	row  runRecord // of the run
	was  *Results  // of the run before, nil: none
	ids  map[string]int64
	ages map[string]Age // of the failures of the run, by key
	w    *window
	all  []runRecord // of the window, rated or not
	rest int         // runs before them
	past runFilter   // what chose them
}

func (a *accountant) account() error {
	for _, part := range []func() error{a.choose, a.compare, a.look, a.tellOutside, a.tellBenchmarks, a.tellGreen, a.tellPhases, a.tellAges} {
		if err := part(); err != nil {
			return err
		}
	}
	a.tellTrend()
	a.tellTarget()
	a.tellRun()
	return nil
}

// choose finds the run and its counts.
func (a *accountant) choose() error {
	which, args := "ORDER BY at DESC, id DESC LIMIT 1", []any(nil)
	if a.o.Run != 0 {
		which, args = "WHERE id = ?", []any{a.o.Run}
	}
	rows, err := a.rows(which, args...)
	switch {
	case err != nil:
		return err
	case len(rows) == 0 && a.o.Run != 0:
		return fmt.Errorf("run %d: %w", a.o.Run, ErrNoRun)
	case len(rows) == 0:
		return ErrNoRuns
	}
	a.row = rows[0]
	if a.a.Run, err = a.whole(a.row); err != nil {
		return err
	}
	if a.o.Now.IsZero() {
		a.o.Now = a.a.Run.Started
	}
	a.tellCounts()
	return nil
}

func (a *accountant) tellCounts() {
	if a.a.Run.Suites != nil {
		a.a.Counts = a.a.Run.Suites.Counts()
	}
	a.a.Rate, a.a.RateAll = a.a.Counts.PassRate(), a.a.Counts.PassRateOfAll()
}

// compare finds the runs to look at: those of the branch, or all where the run is
// the first of its branch.
func (a *accountant) compare() error {
	f := runFilter{earlierRuns, []any{a.row.at, a.row.ID}}
	first := false
	if branch := a.a.Run.Branch; branch != "" {
		mine, err := a.count("has_suites AND complete AND branch = ? AND "+earlierRuns, append([]any{branch}, f.args...)...)
		if err != nil {
			return err
		}
		if first = mine == 0; !first {
			f.which, f.args = f.which+" AND branch IN (?, '')", append(f.args, branch)
		}
	}
	rows, err := f.before(a.reader, max(1, cmp.Or(a.o.Window, DefaultWindow)-1))
	if err != nil {
		return err
	}
	total, err := a.count(f.which, f.args...)
	if err != nil {
		return err
	}
	a.past, a.rest = f, int(total)-len(rows)
	a.all = append(rows, a.row)
	switch {
	case a.row.rated && a.o.OtherCommit:
		if err := a.judgeAgainst(); err != nil {
			return err
		}
	case a.row.rated:
		previous, err := runFilter{"has_suites AND complete AND " + f.which, f.args}.before(a.reader, 1)
		if err != nil {
			return err
		}
		for i := range previous {
			line := previous[i].line()
			a.a.Previous = &line
			if a.was, err = a.results(line.ID); err != nil {
				return fmt.Errorf("run %d: %w", line.ID, err)
			}
		}
	}
	if p := a.a.Previous; p != nil && first && p.Branch != "" {
		a.note("the first run of branch %s: it is compared with run %d of branch %s", oneLine(a.a.Run.Branch), p.ID, oneLine(p.Branch))
	}
	return nil
}

func (a *accountant) note(format string, args ...any) {
	a.a.Notes = append(a.a.Notes, fmt.Sprintf(format, args...))
}

// look reads the window.
func (a *accountant) look() (err error) {
	for i := range a.all {
		a.a.Trend.Points = append(a.a.Trend.Points, a.all[i].line())
	}
	a.a.Trend.Older = a.rest
	if a.w, err = a.window(a.all, slowWindow); err != nil {
		return err
	}
	if err := a.readNames(); err != nil {
		return err
	}
	a.ids = make(map[string]int64, len(a.names))
	for id, s := range a.names {
		a.ids[s.Key()] = id
	}
	a.tellFlakes()
	a.tellDurations()
	a.recall()
	a.tellMoves()
	return nil
}

// tellRun tells what the run says by itself, and puts what needs attention first.
func (a *accountant) tellRun() {
	run := a.a.Run
	word, reason := headline(run)
	a.a.Headline = Headline{Outcome: run.Outcome, Word: word, Reason: reason, Next: next(run)}
	a.a.Notes = append(a.a.Notes, notes(run)...)
	a.a.Facts = accountFacts(run)
	a.tellCategories()
	a.tellCost()
	a.tellLedger()
	a.tellAttention()
}

func accountFacts(run Run) []Fact {
	all := slices.Clone(run.Facts)
	add := func(name, value string) {
		if value != "" && !slices.Contains(all, Fact{name, value}) {
			all = append(all, Fact{name, value})
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

// tellCategories counts specs by their label "category:…".
func (a *accountant) tellCategories() {
	if a.a.Run.Suites == nil {
		return
	}
	failed := map[string]bool{}
	if a.was != nil {
		for i := range a.was.Specs {
			if s := &a.was.Specs[i]; s.State == Failed {
				failed[s.Key()] = true
			}
		}
	}
	by := map[string]*Category{}
	labelled := false
	for i := range a.a.Run.Suites.Specs {
		s := &a.a.Run.Suites.Specs[i]
		name, ok := label(s, "category:")
		labelled = labelled || ok
		c := by[name]
		if c == nil {
			c = &Category{Name: name}
			by[name] = c
		}
		c.Counts.add(s)
		if failed[s.Key()] {
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

// tellTrend finds change points and puts changes of limits beside the runs.
func (a *accountant) tellTrend() {
	t := &a.a.Trend
	t.Method = changeMethod
	var shares []float64
	var places []int
	for i, p := range t.Points {
		if r := p.Counts.PassRate(); p.Rated && r.Of > 0 {
			shares, places = append(shares, r.Share()), append(places, i)
		}
	}
	at, ps := changePoints(shares)
	pool := func(from, to int) (r Rate) {
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

// day is a date as ledgers have it.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
