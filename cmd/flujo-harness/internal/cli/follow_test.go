package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/live"
	"github.com/flujo/flujo-harness/reports/render"
)

// followed returns a follower for a log. The run before took a minute.
func followed(screen render.Screen, out *bytes.Buffer) (f *Follower, later func(time.Duration)) {
	now := time.Unix(1000, 0)
	clock := func() time.Time { return now }
	before := &reports.Results{Specs: []reports.Spec{{Suite: "example.com/shop/orders", Leaf: "adds", Occurrence: 1, Duration: time.Second}, {Suite: "example.com/shop/orders", Leaf: "pays", Occurrence: 1, Duration: 59 * time.Second}}}
	f = &Follower{Tracker: live.NewTracker(live.Run{}, live.Expect(before, []string{"example.com/shop/orders"}), clock), Progress: NewProgress(NewInert(out)), Screen: screen,
		Module: "example.com/shop", Clean: func(s []reports.Spec) []reports.Spec { return s }, Now: clock}
	return f, func(d time.Duration) { now = now.Add(d) }
}

func TestFollowerInALog(t *testing.T) {
	var out bytes.Buffer
	f, later := followed(render.Screen{}, &out)
	f.Tell(live.News{Stage: "compiling and running the tests of 2 packages by go test", Suites: []string{"example.com/shop", "example.com/shop/orders"}})
	for range 61 {
		later(time.Second)
		f.Tell(live.News{})
	}
	f.Tell(live.News{Begun: []string{"example.com/shop/orders"}, Broken: []string{"example.com/shop"}})
	later(10 * time.Second)
	bad := reports.Spec{Suite: "example.com/shop/orders", Leaf: "adds", Occurrence: 1, State: reports.Failed, File: "orders/a_test.go", Line: 7, Message: "a_test.go:7: got 495\nmore"}
	f.Tell(live.News{Specs: []reports.Spec{bad}, Now: "pays"})
	for range 31 {
		later(time.Second)
		f.Tell(live.News{})
	}
	f.Tell(live.News{Specs: []reports.Spec{{Suite: "example.com/shop/orders", Leaf: "pays", State: reports.Skipped}}, Ended: []string{"example.com/shop/orders", "example.com/shop"}})
	f.End()
	want := []string{
		"compiling and running the tests of 2 packages by go test …",
		"  30 s: compiling 2 packages",
		"  60 s: compiling 2 packages",
		"  ✗ .  does not build",
		"  ✗ orders > adds",
		"    orders/a_test.go:7  got 495 more",
		"  1 min 41 s: 1 of 2 specs · 1 failed · pays",
		"  ✗ ./orders  0 specs passed · 1 failed · 1 not run",
		"", "",
	}
	if diff := cmp.Diff(want, strings.Split(out.String(), "\n")); diff != "" {
		t.Error(diff)
	}
}

// The log has lines for a limited number of failures and says that there are more. Control
// sequences in names and messages are escaped.
func TestFollowerBoundsFailures(t *testing.T) {
	var out bytes.Buffer
	f, _ := followed(render.Screen{Width: 60}, &out)
	var n live.News
	for i := range 3 * maxFailures {
		n.Specs = append(n.Specs, reports.Spec{Suite: "a", Leaf: fmt.Sprint(i, "\x1b[2J\n::error::", strings.Repeat("wide ", 50)), State: reports.Failed, Message: "\x1b[31m" + strings.Repeat("x", 500)})
	}
	f.Tell(n)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2*maxFailures+1 || !strings.Contains(lines[len(lines)-1], "more specs fail") {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	for _, line := range lines {
		if n := len([]rune(line)); n > 60 || strings.ContainsAny(line, "\x1b\r") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

func TestFar(t *testing.T) {
	for want, r := range map[string]live.Run{
		"compiling 2 packages":              {Suites: []live.Suite{{State: live.Waiting}, {State: live.Waiting}}},
		"0 of 5 specs · 1 package to begin": {Known: 5, Suites: []live.Suite{{State: live.Waiting}, {State: live.Running}}},
		"1,200 specs":                       {Counts: reports.Counts{Passed: 1200}, Known: 5, Left: -1},
		"3 of 5 specs · 1 failed · about 72 s left · orders > adds": {Counts: reports.Counts{Passed: 2, Failed: 1}, Known: 5, Left: 72.2, Now: "orders > adds"},
	} {
		if got := far(&r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// On GitHub, the failures of a suite are a group of the log, which no message can end or leave.
// Failures of a suite that never ended are printed at the end.
func TestFollowerInGroups(t *testing.T) {
	var out bytes.Buffer
	f, _ := followed(render.Screen{}, &out)
	f.Groups = true
	f.Tell(live.News{Stage: "running", Suites: []string{"example.com/shop", "example.com/shop/orders"}})
	bad := func(suite, leaf, message string) reports.Spec {
		return reports.Spec{Suite: suite, Leaf: leaf, Occurrence: 1, State: reports.Failed, File: "a_test.go", Line: 7, Message: message}
	}
	f.Tell(live.News{Specs: []reports.Spec{bad("example.com/shop/orders", "adds\n::endgroup::", "got 495\n::endgroup::\n  ::error::x\n##[endgroup]")}})
	f.Tell(live.News{Specs: []reports.Spec{bad("example.com/shop", "pays", strings.Repeat("line\n", maxGroup+2))}, Ended: []string{"example.com/shop/orders"}})
	f.End()
	lines := strings.Split(out.String(), "\n")
	want := []string{
		"running …",
		"::group::✗ ./orders  0 specs passed · 1 failed",
		`✗ orders > adds\n::endgroup::  a_test.go:7`,
		"    got 495",
		`    \x3a:endgroup::`,
		`      \x3a:error::x`,
		`    \x23#[endgroup]`,
		"::endgroup::",
		"::group::✗ .  did not end",
		"✗ shop > pays  a_test.go:7",
	}
	if diff := cmp.Diff(want, lines[:len(want)]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"    … 2 more lines", "::endgroup::", "", ""}, lines[len(lines)-4:]); diff != "" {
		t.Error(diff)
	}
}
