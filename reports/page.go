package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxAttention = 50  // specs shown in full
	maxListed    = 200 // specs in a list of names
)

// page is what the template shows: text that is ready to read. Everything written by
// others went through Visible or visibleBlock.
type page struct {
	Title    string
	Meta     []string // run, time, commit
	Word     string   // "BROKEN"
	Tone     string   // class: held, broken, inconclusive, invalid
	Reason   string
	Next     []string
	Notes    []string
	Specs    *specsView // nil: no results
	NoSpecs  string     // why
	Suites   []failureView
	Failing  []failureView
	MoreFail int // beyond Failing
	Moved    []movedView
	Since    string // "run 11", "" where there is no earlier run
	Costs    []costView
	Trend    *trendView
	Facts    []fact
}

type fact struct{ Name, Value string }

type specsView struct {
	None     bool   // no spec ran
	Percent  string // "97.6%"
	Ran, All string // sentences
	Bar      []segment
	Rows     []fact
}

// segment of the bar of all specs, in percent of its width.
type segment struct {
	Tone     string
	X, Width float64
}

type failureView struct {
	Tag, Name, Where, Detail, Message string
}

type movedView struct {
	Kind  string
	Count int
	Names []string
	More  int
}

func newPage(run Run, earlier []Run) page {
	word, reason := headline(run)
	p := page{
		Title:  fmt.Sprintf("%s: flujo-harness report", strings.ToLower(word)),
		Meta:   meta(run),
		Word:   word,
		Tone:   run.Outcome.String(),
		Reason: sentence(reason),
		Next:   sentences(next(run)),
		Notes:  notes(run),
		Facts:  facts(run),
		Trend:  newTrend(run, earlier),
	}
	if run.ID != 0 {
		p.Title = fmt.Sprintf("%s, run %d: flujo-harness report", strings.ToLower(word), run.ID)
	}
	switch {
	case run.SuiteError != "":
		p.NoSpecs = "The suites gave no results: " + sentence(oneLine(run.SuiteError))
	case run.Suites == nil:
		p.NoSpecs = "Suites were not part of this run."
	}
	if run.Suites != nil {
		p.addSpecs(run, Previous(run, earlier))
	}
	for _, c := range worstFirst(run) {
		p.Costs = append(p.Costs, newCost(c, run.verdictFor(c)))
	}
	return p
}

func meta(run Run) []string {
	var m []string
	if run.ID != 0 {
		m = append(m, fmt.Sprintf("run %d", run.ID))
	}
	if !run.Started.IsZero() {
		m = append(m, run.Started.UTC().Format("2 January 2006, 15:04 UTC"))
	}
	if run.Commit != "" {
		commit := "commit " + shortCommit(run.Commit)
		if run.Dirty {
			commit += " with changes"
		}
		m = append(m, commit)
	}
	if !run.Complete {
		m = append(m, "interrupted")
	}
	return m
}

// shortCommit is the first 12 characters of a hash.
func shortCommit(commit string) string {
	r := []rune(Visible(commit))
	return string(r[:min(len(r), 12)])
}

func (p *page) addSpecs(run Run, previous *Run) {
	c := run.Suites.Counts()
	p.Specs = newSpecs(c)
	var before *Results
	if previous != nil {
		before = previous.Suites
		p.Since = "an earlier run"
		if previous.ID != 0 {
			p.Since = fmt.Sprintf("run %d", previous.ID)
		}
	}
	for _, s := range run.Suites.Suites {
		for _, f := range s.Failures {
			p.Suites = append(p.Suites, failureView{Tag: "suite failed", Name: Visible(s.Path), Where: where(f.File, f.Line),
				Detail: Visible(f.Node), Message: visibleBlock(f.Message)})
		}
	}
	moves := Transitions(before, run.Suites)
	failing := ofKind(moves, Broke, NewFailing, StillFailing, Failing)
	for _, t := range failing[:min(len(failing), maxAttention)] {
		p.Failing = append(p.Failing, failureView{Tag: string(t.Kind), Name: Visible(t.Spec.Name()), Where: where(t.Spec.File, t.Spec.Line),
			Detail: Visible(t.Spec.Detail), Message: visibleBlock(t.Spec.Message)})
	}
	p.MoreFail = len(failing) - len(p.Failing)
	for _, kind := range []Kind{RetryRescued, Fixed, NewlySkipped, New, Gone} {
		of := ofKind(moves, kind)
		if len(of) == 0 {
			continue
		}
		m := movedView{Kind: string(kind), Count: len(of)}
		for _, t := range of[:min(len(of), maxListed)] {
			m.Names = append(m.Names, Visible(t.Spec.Name()))
		}
		m.More = len(of) - len(m.Names)
		p.Moved = append(p.Moved, m)
	}
}

func newSpecs(c Counts) *specsView {
	ran, all := c.PassRate(), c.PassRateOfAll()
	v := &specsView{
		None: ran.Of == 0,
		All:  fmt.Sprintf("Of all %s, skipped and pending ones included, %d passed: %s%%.", plural(all.Of, "spec"), all.Good, all.percent()),
		Rows: []fact{{"passed", count(c.Passed)}, {"failed", count(c.Failed)}, {"skipped", count(c.Skipped)},
			{"pending", count(c.Pending)}, {"passed only when retried", count(c.Retried)}},
	}
	if all.Of == 0 {
		v.All = "The suites have no specs."
		return v
	}
	x := 0.0
	for _, part := range []struct {
		tone string
		n    int
	}{{"passed", c.Passed}, {"failed", c.Failed}, {"left", c.Skipped + c.Pending}} {
		if part.n == 0 {
			continue
		}
		width := 100 * float64(part.n) / float64(all.Of)
		v.Bar = append(v.Bar, segment{part.tone, min(x, 99.5), max(width, 0.5)}) // one failure in a thousand is still seen
		x += width
	}
	if v.None {
		return v
	}
	low, high := ran.Band()
	v.Percent = ran.percent() + "%"
	v.Ran = fmt.Sprintf("%s of %s that ran passed; 95%% band %s to %s%% (Wilson).", count(ran.Good), plural(ran.Of, "spec"), percent(low), percent(high))
	return v
}

func count(n int) string { return commas(fmt.Sprint(n)) }

// where is "file.go:12", as much of it as is known.
func where(file string, line int) string {
	if file == "" || line == 0 {
		return Visible(file)
	}
	return fmt.Sprintf("%s:%d", Visible(file), line)
}

// sentence ends with a full stop, and starts with a capital unless its first word is
// a name, such as "three-steps:".
func sentence(s string) string {
	if s == "" {
		return ""
	}
	word, _, _ := strings.Cut(s, " ")
	if !strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) }) {
		first, size := utf8.DecodeRuneInString(s)
		s = string(unicode.ToUpper(first)) + s[size:]
	}
	if strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

func sentences(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = sentence(s)
	}
	return out
}

// facts are what one needs to measure again.
func facts(run Run) []fact {
	all := []fact{
		{"command", Visible(run.Command)},
		{"commit", Visible(run.Commit)},
		{"took", (time.Duration(run.Seconds * float64(time.Second))).Round(10 * time.Millisecond).String()},
		{"exit code", fmt.Sprint(run.ExitCode)},
	}
	if run.Suites != nil {
		var seeds []string
		for _, s := range run.Suites.Suites {
			if seed := fmt.Sprint(s.Seed); !slices.Contains(seeds, seed) {
				seeds = append(seeds, seed)
			}
		}
		all = append(all, fact{"seed of the specs' order", cut(strings.Join(seeds, ", "), 200)})
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.Value == "" })
}
