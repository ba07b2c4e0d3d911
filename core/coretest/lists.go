package coretest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// lister returns the backend as a core.Lister, and skips the test if it is none.
func lister(t testing.TB, b core.Backend) core.Lister {
	t.Helper()
	l, ok := b.(core.Lister)
	if !ok {
		t.Skip("the backend is not a core.Lister")
	}
	return l
}

// names returns the runs that a filter selects, in order.
func names(t testing.TB, b core.Backend, f core.Filter) string {
	t.Helper()
	runs, err := lister(t, b).List(ctx, f)
	check(t, "list", err, nil)
	var all []string
	for _, r := range runs {
		all = append(all, r.Key.String())
	}
	return strings.Join(all, " ")
}

// gallery returns a backend with runs in every state: live, cut off, pending (started, without an
// executor), paused, answered (paused, with an answer that has not been processed), timed (wakes at
// at(60)), stopped, done, and a/done of another pipeline.
func (s *suite) gallery(t testing.TB) core.Backend {
	t.Helper()
	b := s.open(t)
	t.Cleanup(func() { check(t, "close", b.Close(), nil) })
	lister(t, b)
	start := func(i int64, name string, h core.Holder) core.Lease {
		rec := startOf(core.RunKey{Run: name})
		rec.Key.Tenant, rec.Key.Run, _ = strings.Cut(name, "/")
		if rec.Key.Run == "" {
			rec.Key = core.RunKey{Run: name}
		} else {
			rec.Pipeline = "q"
		}
		rec.Time, rec.Holder = at(i), h
		lease, err := b.Start(ctx, rec)
		check(t, "start", err, nil)
		return lease
	}
	end := func(lease core.Lease, rec core.FinishRecord) {
		check(t, "step", b.Step(ctx, lease, stepOf(1)), nil)
		check(t, "pause", b.Step(ctx, lease, pauseOf(2, "t")), nil)
		rec.Time = at(20)
		check(t, "finish", b.Finish(ctx, lease, rec), nil)
	}
	start(1, "live", you)
	start(2, "cut", me)
	start(3, "pending", core.Holder{})
	end(start(4, "paused", you), core.FinishRecord{Status: core.Paused})
	end(start(5, "answered", you), core.FinishRecord{Status: core.Paused})
	check(t, "answer", b.Signal(ctx, core.RunKey{Run: "answered"}, answerOf("t", 21, "1")), nil)
	end(start(6, "timed", you), core.FinishRecord{Status: core.Paused, Wake: at(60)})
	end(start(7, "stopped", you), core.FinishRecord{Status: core.Stopped})
	end(start(8, "done", you), core.FinishRecord{Status: core.Completed})
	end(start(9, "a/done", you), core.FinishRecord{Status: core.Failed})
	return b
}

func (s *suite) lists() {
	s.must("a list selects runs by state, time and name", func(t testing.TB) {
		b := s.gallery(t)
		for _, c := range []struct {
			what string
			f    core.Filter
			want string
		}{
			{"all, the newest first", core.Filter{}, "a/done done stopped timed answered paused pending cut live"},
			{"live", core.Filter{Now: at(60), Live: true}, "live"},
			{"live, earlier", core.Filter{Now: at(40), Live: true}, "cut live"},
			{"cut off", core.Filter{Now: at(60), CutOff: true}, "pending cut"},
			{"cut off when a lease ends", core.Filter{Now: me.Until, CutOff: true}, "pending cut"},
			{"due", core.Filter{Now: at(60), Due: true}, "timed answered pending cut"},
			{"due before a timer", core.Filter{Now: at(59), Due: true}, "answered pending cut"},
			{"pipeline", core.Filter{Pipeline: "q"}, "a/done"},
			{"status", core.Filter{Status: core.Paused}, "timed answered paused"},
			{"since", core.Filter{Since: at(8)}, "a/done done"},
			{"before", core.Filter{Before: at(2)}, "live"},
			{"since and before", core.Filter{Since: at(2), Before: at(4)}, "pending cut"},
			{"tenant", core.Filter{Tenant: new("a")}, "a/done"},
			{"no tenant, by name", core.Filter{Tenant: new(""), Run: "done"}, "done"},
			{"name in any tenant", core.Filter{Run: "done"}, "a/done done"},
			{"name with a tenant", core.Filter{Run: "a/done"}, "a/done"},
			{"limit", core.Filter{Limit: 2}, "a/done done"},
		} {
			if got := names(t, b, c.f); got != c.want {
				t.Errorf("%s: %s; want %s", c.what, got, c.want)
			}
		}
	})
	s.must("a list has pages", func(t testing.TB) {
		b := s.gallery(t)
		k := core.RunKey{Run: "twin"} // started at the same time as another run
		rec := startOf(k)
		rec.Time = at(5)
		_, err := b.Start(ctx, rec)
		check(t, "start", err, nil)
		f, got := core.Filter{Limit: 3}, []string{}
		for range 9 {
			runs, err := lister(t, b).List(ctx, f)
			check(t, "list", err, nil)
			for _, r := range runs {
				got = append(got, r.Key.String())
			}
			if len(runs) < f.Limit {
				break
			}
			f.After = &runs[len(runs)-1]
		}
		if got, want := strings.Join(got, " "), names(t, b, core.Filter{}); got != want {
			t.Errorf("pages of 3 show %s; a single page %s", got, want)
		}
	})
	s.must("a list shows a run as its snapshot does", func(t testing.TB) {
		b := s.gallery(t)
		runs, err := lister(t, b).List(ctx, core.Filter{})
		check(t, "list", err, nil)
		for _, got := range runs {
			snap := load(t, b, got.Key)
			want := snap.Info()
			want.ID = got.ID
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("run %s (-snapshot +list):\n%s", got.Key, d)
			}
		}
	})
	s.must("open questions are listed, the oldest first", func(t testing.TB) {
		b := s.gallery(t)
		questions, err := lister(t, b).Questions(ctx, core.Filter{})
		check(t, "list", err, nil)
		var got []string
		for _, q := range questions {
			got = append(got, q.Key.String())
			p := pauseOf(2, "t")
			want := core.Question{Key: q.Key, Pipeline: "p", Path: p.Path, Token: "t", Prompt: p.Output, For: p.For, Asked: p.Ended, Due: p.Due}
			if d := cmp.Diff(want, q); d != "" {
				t.Errorf("question of %s (-want +got):\n%s", q.Key, d)
			}
		}
		if got, want := strings.Join(got, " "), "paused timed stopped"; got != want {
			t.Errorf("questions of %s; want %s: without answered ones and those of ended runs", got, want)
		}
		questions, err = lister(t, b).Questions(ctx, core.Filter{Run: "timed", Limit: 1})
		check(t, "list", err, nil)
		if len(questions) != 1 || questions[0].Key.Run != "timed" {
			t.Errorf("questions of one run: %v", questions)
		}
	})
}

func (s *suite) prunes() {
	s.must("prune deletes only runs that have ended, with everything that was saved for them", func(t testing.TB) {
		b := s.gallery(t)
		p, ok := b.(core.Pruner)
		if !ok {
			t.Skip("the backend is not a core.Pruner")
		}
		counts := b.Counts()
		prune := func(f core.PruneFilter, deleted int, more bool, left string) {
			t.Helper()
			n, m, err := p.Prune(ctx, f)
			check(t, "prune", err, nil)
			if n != deleted || m != more {
				t.Errorf("%+v deleted %d, more %v; want %d, %v", f, n, m, deleted, more)
			}
			if got := names(t, b, core.Filter{}); got != left {
				t.Errorf("%+v left %s; want %s", f, got, left)
			}
		}
		prune(core.PruneFilter{Before: at(20)}, 0, false, "a/done done stopped timed answered paused pending cut live")
		prune(core.PruneFilter{Before: at(99), Status: core.Running}, 0, false, "a/done done stopped timed answered paused pending cut live")
		prune(core.PruneFilter{Before: at(99), Tenant: new("b")}, 0, false, "a/done done stopped timed answered paused pending cut live")
		prune(core.PruneFilter{Before: at(21), Limit: 1}, 1, true, "a/done stopped timed answered paused pending cut live")
		prune(core.PruneFilter{Before: at(21), Tenant: new("a"), Limit: 1}, 1, false, "stopped timed answered paused pending cut live")
		prune(core.PruneFilter{Before: at(21), Status: core.Paused}, 3, false, "stopped pending cut live")
		prune(core.PruneFilter{Before: at(21)}, 0, false, "stopped pending cut live")
		if got := b.Counts(); got != counts {
			t.Errorf("counts %+v, want %+v: pruning does not count as a save", got, counts)
		}
		_, err := b.Load(ctx, core.RunKey{Run: "answered"})
		check(t, "load a pruned run", err, core.ErrRunNotFound)
		for i := range 3 { // new runs can be saved, also under the same names
			k := core.RunKey{Run: fmt.Sprint("new", i)}
			if i == 0 {
				k.Run = "answered"
			}
			check(t, "run after the others were pruned", oneRun(b, k, 3), nil)
			if got := load(t, b, k); len(got.Steps) != 3 || len(got.Answers) != 0 {
				t.Errorf("a new run has %d steps and %d answers", len(got.Steps), len(got.Answers))
			}
		}
	})
	s.must("the lease of a pruned run is not valid for another run", func(t testing.TB) {
		b, old := s.begin(t)
		p, ok := b.(core.Pruner)
		if !ok {
			t.Skip("the backend is not a core.Pruner")
		}
		check(t, "finish", b.Finish(ctx, old, core.FinishRecord{Status: core.Completed, Time: at(5)}), nil)
		_, _, err := p.Prune(ctx, core.PruneFilter{Before: at(6)})
		check(t, "prune", err, nil)
		lease, err := b.Start(ctx, startOf(key))
		check(t, "start", err, nil)
		if lease.ID == old.ID {
			t.Errorf("the ID %d was reused", old.ID)
		}
		check(t, "step of the old lease", b.Step(ctx, old, stepOf(1)), core.ErrFenced)
	})
}
