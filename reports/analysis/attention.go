package analysis

import (
	"cmp"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

var attentionOrder = []AttentionKind{SuiteBroken, NewlyBroken, FailingNow, FailingOn, FlakyNow, LongFailing}

// addAttention lists what needs attention, sorted by urgency: failures before passes, then by kind,
// then the shortest failure streak first, because it is the most likely to be caused by recent
// work. Flaky specs that pass are sorted by certainty.
func (a *analyzer) addAttention() {
	run := a.a.Run
	if run.Suites == nil {
		return
	}
	cluster := map[reports.Digest]int{} // index plus 1
	for i := range a.a.Clusters {
		for k := range a.a.Clusters[i].Specs {
			cluster[a.a.Clusters[i].Specs[k].Digest()] = i + 1
		}
	}
	join := func(at *Attention) {
		at.Cluster = cluster[at.Spec.Digest()] - 1
		if at.Cluster >= 0 {
			c := &a.a.Clusters[at.Cluster]
			c.Since = max(c.Since, at.Age.Runs)
		}
	}
	for i := range a.a.Outside {
		if o := &a.a.Outside[i]; o.Now {
			spec := o.Spec()
			at := Attention{Kind: SuiteBroken, Spec: &spec, Outside: o, Message: o.Failure.Message, Age: o.Age}
			join(&at)
			a.a.Attention = append(a.a.Attention, at)
		}
	}
	flakes := map[reports.Digest]*Flake{}
	for i := range a.a.Flakes {
		flakes[a.a.Flakes[i].Spec.Digest()] = &a.a.Flakes[i]
	}
	a.a.Attention = slices.Grow(a.a.Attention, a.a.Counts.Failed)
	told := map[reports.Digest]bool{}
	for _, m := range a.a.Moves {
		key := m.Spec.Digest()
		at := Attention{Spec: m.Spec, Message: m.Spec.Message, Rerun: rerun(m.Spec, run.Format, run.Origin.Module), Owner: reports.OwnerOf(m.Spec), Cluster: -1, Flake: flakes[key]}
		switch {
		case m.Now == reports.Failed && m.Kind == reports.Flaky, m.Kind == reports.RetryRescued:
			at.Kind = FlakyNow
		case m.Now != reports.Failed:
			continue
		case m.Kind == reports.StillFailing && a.streaks[m.Spec].Runs >= longStreak:
			at.Kind = LongFailing
		case m.Kind == reports.StillFailing:
			at.Kind = FailingOn
		case m.Kind == reports.Failing:
			at.Kind = FailingNow
		default:
			at.Kind = NewlyBroken
		}
		if m.Now == reports.Failed {
			at.Age = a.streaks[m.Spec]
			join(&at)
		}
		told[key] = true
		a.a.Attention = append(a.a.Attention, at)
	}
	for i := range a.a.Flakes {
		f := &a.a.Flakes[i]
		if key := f.Spec.Digest(); !told[key] && f.Spec.State != "" { // in this run
			a.a.Attention = append(a.a.Attention, Attention{Kind: FlakyNow, Spec: &f.Spec, Message: f.Spec.Message,
				Rerun: rerun(&f.Spec, run.Format, run.Origin.Module), Owner: reports.OwnerOf(&f.Spec), Cluster: -1, Flake: f})
		}
	}
	passed := func(t Attention) int {
		if t.Spec.State == reports.Failed {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(a.a.Attention, func(x, y Attention) int {
		return cmp.Or(passed(x)-passed(y), cmp.Compare(slices.Index(attentionOrder, x.Kind), slices.Index(attentionOrder, y.Kind)), cmp.Compare(x.Age.Runs, y.Age.Runs))
	})
}

// rerun returns a command that runs only this spec, or "" if its runner is unknown or its name
// contains characters that could act when they are pasted into a shell.
func rerun(s *reports.Spec, format, module string) string {
	for _, r := range s.Suite + texts(s) {
		if !unicode.IsPrint(r) {
			return ""
		}
	}
	if slices.Contains(s.Labels, reports.ByGoTest) {
		format = reports.FormatGoTest
	}
	switch format {
	case reports.FormatGinkgo:
		where := s.Suite // a folder of the module
		switch first, _, _ := strings.Cut(where, "/"); {
		case path.IsAbs(where) || strings.Contains(first, "."):
		case module != "":
			where = path.Join(module, where)
		default:
			where = "./" + where
		}
		full := strings.Join(slices.DeleteFunc(append(slices.Clone(s.Containers), s.Leaf), func(t string) bool { return t == "" }), " ")
		return child.ShellLine("go", "test", where, "-ginkgo.focus="+regexp.QuoteMeta(full)+"$") // works without the ginkgo command
	case reports.FormatGoTest:
		var parts []string
		for _, t := range append(slices.Clone(s.Containers), s.Leaf) {
			for _, p := range strings.Split(t, "/") {
				parts = append(parts, "^"+regexp.QuoteMeta(p)+"$")
			}
		}
		return child.ShellLine("go", "test", "-run="+strings.Join(parts, "/"), s.Suite) // a package
	}
	return ""
}

// judgedBy reports whether the run was judged by the limit of a ledger entry.
func judgedBy(r *reports.Run, f *thresholds.File, e *thresholds.Entry) bool {
	return slices.ContainsFunc(r.Verdicts, func(v thresholds.Verdict) bool {
		return v.Workload == e.Workload && v.Metric == e.Metric && v.Durability == e.Durability && v.Limit != 0 &&
			filepath.Base(v.Source) == filepath.Base(f.Path) // the name of the file is the class; its revision does not matter
	})
}

// InForce returns the loosenings that are in effect for limits of this run.
func (a *Analysis) InForce() []LedgerLine {
	var all []LedgerLine
	for _, l := range a.Ledger {
		if l.Current && l.Judged {
			all = append(all, l)
		}
	}
	return all
}

// addLedger lists the changes of limits, newest first, and assigns them to runs of the trend.
func (a *analyzer) addLedger() {
	today := Day(a.o.Now)
	for _, f := range a.o.Limits {
		for _, e := range f.Ledger {
			line := LedgerLine{Entry: e, Class: f.Class, Path: f.Path, Judged: judgedBy(&a.a.Run, f, &e)}
			if e.Change == thresholds.Loosened && e.Expires != "" {
				line.Expired = e.Expires < today
				line.Current = !line.Expired && !f.Undone(e)
			}
			a.a.Ledger = append(a.a.Ledger, line)
		}
	}
	slices.SortStableFunc(a.a.Ledger, func(x, y LedgerLine) int { return cmp.Compare(y.Entry.Date, x.Entry.Date) })
	points := a.a.Trend.Points
	for _, line := range slices.Backward(a.a.Ledger) {
		at := slices.IndexFunc(points, func(p history.RunLine) bool { return Day(p.Started) >= line.Entry.Date })
		if at < 0 {
			at = len(points)
		}
		if at > 0 || a.a.Trend.Older == 0 || Day(points[0].Started) == line.Entry.Date { // changes from before the window are left out
			a.a.Trend.Limits = append(a.a.Trend.Limits, LimitChange{At: at, Line: line})
		}
	}
}
