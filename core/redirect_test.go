package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// along leads from each node to the next one in the way.
func along(way ...string) func(doc, string) (string, error) {
	return func(_ doc, from string) (string, error) {
		for i, name := range way[:len(way)-1] {
			if name == from {
				return way[i+1], nil
			}
		}
		return "", nil
	}
}

func TestRedirectHandsOverUntilNobodyIsNamed(t *testing.T) {
	for text, way := range map[string][]string{
		"r/a z":             {"a"},
		"r/a r/c z":         {"a", "c"},
		"r/a r/c/1 r/b z":   {"a", "c", "b"},
		"r/a r/b r/c/1 z":   {"a", "b", "c"},
		"r/a r/b r/c/1 r/d": {"a", "b", "c", "d"},
	} {
		t.Run(text, func(t *testing.T) {
			c := work("c", appending)
			if strings.Contains(text, "c/1") {
				c = core.Then("c", work("1", appending))
			}
			nodes := []*core.Node[doc]{core.Redirect("r", along(way...), work("a", appending), work("b", appending), c, work("d", appending))}
			if strings.HasSuffix(text, " z") {
				nodes = append(nodes, work("z", appending))
			}
			got := everyWay(t, plan(t, nodes...), doc{})
			if got.Err != nil || got.Scope.Text != text {
				t.Errorf("%+v, error %v", got.Result, got.Err)
			}
		})
	}
}

func TestRedirectDecidesByTheScopeBehindTheNode(t *testing.T) {
	next := func(d doc, from string) (string, error) { return map[string]string{"a": d.Text}[from], nil }
	got := everyWay(t, plan(t, core.Redirect("r", next, work("a", says("c")), work("b", appending), work("c", appending))), doc{})
	wantSeen(t, got.Seen, `r/a 1 "" ""`, `r/c 1 "c" ""`)
}

func TestRedirectInACycleShowsTheWay(t *testing.T) {
	for name, tc := range map[string]struct {
		way  []string
		text string
	}{
		"back to the first": {[]string{"a", "b", "c", "a"}, "a -> b -> c -> a"},
		"back to another":   {[]string{"a", "c", "b", "c"}, "a -> c -> b -> c"},
		"to itself":         {[]string{"a", "a"}, "a -> a"},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			next := func(_ doc, from string) (string, error) {
				calls++
				for i := len(tc.way) - 2; i >= 0; i-- {
					if tc.way[i] == from {
						return tc.way[i+1], nil
					}
				}
				return "", nil
			}
			got := everyWay(t, plan(t, core.Redirect("r", next, work("a", appending), work("b", appending), work("c", appending)), work("z", appending)), doc{})
			wantText(t, got.Err, `redirect "r" failed: redirect cycle: `+tc.text)
			var failed *core.NodeError
			if !errors.Is(got.Err, core.ErrRedirectCycle) || !errors.As(got.Err, &failed) || failed.Kind != "redirect" || got.Status != core.Failed {
				t.Errorf("%v, error %#v", got.Status, got.Err)
			}
			if len(got.Seen) != len(tc.way)-1 || calls == 0 {
				t.Errorf("calls %q", got.Seen)
			}
		})
	}
}

func TestRedirectCycleIsHandledByAFallback(t *testing.T) {
	cycle := core.Redirect("r", along("a", "a"), work("a", appending))
	got := everyWay(t, plan(t, core.Fallback("f", cycle, work("b", appending))), doc{})
	wantText(t, got.Err, "")
	wantSeen(t, got.Seen, `f/r/a 1 "" ""`, `f/b 1 "f/r/a" "redirect \"f/r\" failed: redirect cycle: a -> a"`)
}

func TestRedirectMayRunAgainInTheNextIteration(t *testing.T) {
	// A node runs at most once each time the redirect runs, not once a run.
	got := everyWay(t, plan(t, core.Loop("l", 2, nil, core.Redirect("r", along("a", "b"), work("a", appending), work("b", appending)), core.MaxIsSuccess())), doc{})
	if got.Err != nil || got.Scope.Text != "l#1/r/a l#1/r/b l#2/r/a l#2/r/b" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
}

func TestRedirectToAnUnknownNodeIsAFailure(t *testing.T) {
	got := everyWay(t, plan(t, core.Redirect("r", along("a", "b", "nobody"), work("a", appending), work("b", appending)), work("z", appending)), doc{})
	wantText(t, got.Err, `redirect "r" failed: "b" names no node to go to: it has no "nobody"`)
	if got.Status != core.Failed || errors.Is(got.Err, core.ErrRedirectCycle) || got.Scope.Text != "r/a r/b" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
}

func TestErrorOfARedirectIsAFailure(t *testing.T) {
	cause := errors.New("undecided")
	got := everyWay(t, plan(t, core.Redirect("r", func(doc, string) (string, error) { return "b", cause }, work("a", appending), work("b", appending))), doc{})
	wantText(t, got.Err, `redirect "r" failed: undecided`)
	wantSeen(t, got.Seen, `r/a 1 "" ""`)
	if !errors.Is(got.Err, cause) || got.Status != core.Failed {
		t.Errorf("%v, error %v", got.Status, got.Err)
	}
}

func TestPanicOfARedirectIsAFailure(t *testing.T) {
	got := everyWay(t, plan(t, core.Redirect("r", func(doc, string) (string, error) { panic("boom") }, work("a", appending), work("b", appending))), doc{})
	wantText(t, got.Err, `redirect "r" failed: panic: boom`)
	wantSeen(t, got.Seen, `r/a 1 "" ""`)
	if got.Status != core.Failed || !errors.As(got.Err, new(*core.PanicError)) {
		t.Errorf("%v, error %v", got.Status, got.Err)
	}
}

func TestFailureOfANodeEndsItsRedirect(t *testing.T) {
	got := everyWay(t, plan(t, core.Redirect("r", along("a", "b", "c"), work("a", appending), work("b", fails("no")), work("c", appending))), doc{})
	wantText(t, got.Err, `step "r/b" failed after 1 attempt: no`)
	wantSeen(t, got.Seen, `r/a 1 "" ""`, `r/b 1 "r/a" ""`)
}

func TestEachNodeOfARedirectIsCalledAtMostOnceAndTheFirstAtLeast(t *testing.T) {
	p := plan(t, core.Redirect("r", along("a", "b", "c"), work("a", appending), work("b", appending, core.Retries(2)), work("c", appending)))
	if d := cmp.Diff(map[string]int{"r/a": 1, "r/b": 3, "r/c": 1}, p.MaxCalls()); d != "" {
		t.Errorf("most calls (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]int{"r/a": 1, "r/b": 0, "r/c": 0}, p.MinCalls()); d != "" {
		t.Errorf("least calls (-want +got):\n%s", d)
	}
}

func TestRedirectThatChangesItsMindIsNoticedAndCallsNobody(t *testing.T) {
	target := "b"
	next := func(_ doc, from string) (string, error) {
		if from == "a" {
			return target, nil
		}
		return "", nil
	}
	p := plan(t, core.Redirect("r", next, work("a", appending), core.Then("b", work("1", appending), work("2", appending)), work("c", appending)))
	b := &cutting{core.NewMemory(), 4, false} // before the second step of "b"
	if got := once(t, stopped(b), p, doc{}); !errors.Is(got.Err, errCut) {
		t.Fatalf("error %v", got.Err)
	}
	target = "c"
	log := &callLog{}
	_, err := core.Resume(log.in(t.Context()), stopped(b), p, runR)
	wantText(t, err, `run r: run went another way than its records: step "r/c" is next, but other steps have 1 saved record left: `+
		`conditions, choices and merges must depend on the scope alone; the plan has not changed, so one of them has`)
	wantSeen(t, log.calls)
	if !errors.Is(err, core.ErrDiverged) {
		t.Errorf("error %v", err)
	}
}
