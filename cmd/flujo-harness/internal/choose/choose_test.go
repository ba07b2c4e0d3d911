package choose

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/runner"
)

func record(t *testing.T, runs ...reports.Run) *history.History {
	t.Helper()
	h, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "h.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	for i, r := range runs {
		if r.Started.IsZero() {
			r.Started = time.Date(2026, 1, 1, 0, i, 0, 0, time.UTC)
		}
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func spec(suite, leaf string, state reports.State) reports.Spec {
	s := reports.Spec{Suite: suite, Leaf: leaf, Occurrence: 1, State: state, Message: "m"}
	if state == reports.Passed || state == reports.Failed {
		s.Attempts = 1
	}
	return s
}

func run(branch, format string, partial bool, suites []reports.Suite, specs ...reports.Spec) reports.Run {
	return reports.Run{Branch: branch, Format: format, Complete: true, Suites: &reports.Results{Suites: suites, Specs: specs}, Origin: reports.Origin{Module: "example.com/shop", Selection: reports.Selection{Partial: partial}}}
}

// Failed selects the tests that failed in the newest run of the branch, and, for tests that it
// left out, in earlier runs, back to a run of all tests.
func TestFailed(t *testing.T) {
	suite := func(path string, failures ...string) reports.Suite {
		s := reports.Suite{Path: path}
		for _, node := range failures {
			s.Failures = append(s.Failures, reports.SuiteFailure{Node: node, Message: "m"})
		}
		return s
	}
	ginkgo := spec("orders", "is kept", reports.Failed)
	ginkgo.Containers = []string{"an order (new)"}
	byGo := spec("example.com/shop/orders", "TestPlain/a/b", reports.Failed)
	byGo.Labels = []string{reports.ByGoTest}
	fork := run("main", reports.FormatGoTest, false, nil, spec("example.com/shop", "TestOfAFork", reports.Failed))
	fork.Origin.Fork = true
	for name, tt := range map[string]struct {
		runs []reports.Run
		want map[string]runner.Only
		n    int
		text string
	}{
		"no run":  {nil, map[string]runner.Only{}, 0, ""},
		"go test": {[]reports.Run{run("main", reports.FormatGoTest, false, nil, spec("example.com/shop", "TestA/x", reports.Failed), spec("example.com/shop", "TestB", reports.Passed))}, map[string]runner.Only{"example.com/shop": {Tests: []string{"TestA"}}}, 1, "run 1 of branch main"},
		"Ginkgo, and plain tests": {[]reports.Run{run("main", reports.FormatGinkgo, false, nil, ginkgo, byGo)},
			map[string]runner.Only{"orders": {Specs: []string{"an order (new) is kept"}}, "example.com/shop/orders": {Tests: []string{"TestPlain"}}}, 2, "run 1 of branch main"},
		"a build": {[]reports.Run{run("main", reports.FormatGoTest, false, []reports.Suite{suite("example.com/shop", "build")}, spec("example.com/shop", "TestA", reports.Failed))}, map[string]runner.Only{"example.com/shop": {}}, 2, "run 1"},
		"green since": {[]reports.Run{run("main", reports.FormatGoTest, false, nil, spec("example.com/shop", "TestA", reports.Failed)), run("main", reports.FormatGoTest, false, nil, spec("example.com/shop", "TestA", reports.Passed))},
			map[string]runner.Only{}, 0, "run 2"},
		"partly green since": {[]reports.Run{run("main", reports.FormatGoTest, false, []reports.Suite{suite("example.com/shop/b", "build")}, spec("example.com/shop", "TestA", reports.Failed), spec("example.com/shop", "TestB", reports.Failed)),
			run("main", reports.FormatGoTest, true, nil, spec("example.com/shop", "TestA", reports.Passed), spec("example.com/shop", "TestB", reports.Skipped)),
			run("main", reports.FormatGoTest, true, nil, spec("example.com/shop", "TestC", reports.Failed))},
			map[string]runner.Only{"example.com/shop": {Tests: []string{"TestC", "TestB"}}, "example.com/shop/b": {}}, 3, "run 3"},
		"a build that is mended": {[]reports.Run{run("main", reports.FormatGoTest, false, []reports.Suite{suite("example.com/shop", "build")}), run("main", reports.FormatGoTest, true, []reports.Suite{suite("example.com/shop")}, spec("example.com/shop", "TestA", reports.Passed))},
			map[string]runner.Only{}, 0, "run 2"},
		"of the branch": {[]reports.Run{run("main", reports.FormatGoTest, false, nil, spec("example.com/shop", "TestA", reports.Failed)), run("other", reports.FormatGoTest, false, nil, spec("example.com/shop", "TestB", reports.Failed)), fork},
			map[string]runner.Only{"example.com/shop": {Tests: []string{"TestA"}}}, 1, "run 1 of branch main"},
		"none of the branch": {[]reports.Run{run("other", reports.FormatGoTest, false, nil, spec("example.com/shop", "TestB", reports.Failed))}, map[string]runner.Only{"example.com/shop": {Tests: []string{"TestB"}}}, 1, "run 1 of branch other"},
		"another runner":     {[]reports.Run{run("main", "JUnit XML", false, nil, spec("example.com/shop", "works", reports.Failed))}, map[string]runner.Only{"example.com/shop": {}}, 1, "run 1"},
	} {
		got, err := Failed(t.Context(), record(t, tt.runs...), "main")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got.Only); diff != "" || len(got.Specs) != tt.n || !strings.HasPrefix(got.Text, tt.text) || tt.text == "" && got.Text != "" {
			t.Errorf("%s: %d specs, %q, %s", name, len(got.Specs), got.Text, diff)
		}
	}
}

func TestNotRun(t *testing.T) {
	s := Selection{Specs: []reports.Spec{spec("shop", "kept", reports.Failed), spec("shop", "gone", reports.Failed), spec("shop", "left out", reports.Failed), spec("shop", "[build]", reports.Failed)}}
	got := s.NotRun(&reports.Results{Specs: []reports.Spec{spec("shop", "kept", reports.Passed), spec("shop", "left out", reports.Skipped)}})
	if diff := cmp.Diff([]string{"shop > gone", "shop > left out"}, got); diff != "" {
		t.Error(diff)
	}
}

// Reruns count as attempts: a known flaky spec that never passes has failed with all of them.
func TestRerun(t *testing.T) {
	now := &reports.Results{Specs: []reports.Spec{spec("shop", "flaky", reports.Failed), spec("shop", "broken", reports.Failed), spec("shop", "unknown", reports.Failed), spec("shop", "green", reports.Passed)}}
	var flakes []analysis.Flake
	for _, name := range []string{"flaky", "broken", "green"} {
		flakes = append(flakes, analysis.Flake{Spec: spec("shop", name, reports.Passed)})
	}
	s := Flaky(now, reports.FormatGoTest, flakes)
	if diff := cmp.Diff(map[string]runner.Only{"shop": {Tests: []string{"flaky", "broken"}}}, s.Only); diff != "" {
		t.Fatal(diff)
	}
	var again []*reports.Results
	for i := range 9 {
		state := reports.Failed
		if i == 4 {
			state = reports.Passed
		}
		again = append(again, &reports.Results{Specs: []reports.Spec{spec("shop", "flaky", state), spec("shop", "broken", reports.Failed), spec("shop", "green", reports.Failed)}})
	}
	lines := s.Rerun(now, again)
	if diff := cmp.Diff([]string{"shop > flaky: failed 9 of 10: flaky", "shop > broken: failed 10 of 10: fails each time"}, lines); diff != "" {
		t.Error(diff)
	}
	for i, want := range []struct {
		state    reports.State
		both     bool
		attempts int
	}{{reports.Failed, true, 10}, {reports.Failed, false, 10}, {reports.Failed, false, 1}, {reports.Passed, false, 1}} {
		if s := now.Specs[i]; s.State != want.state || s.BothWays() != want.both || s.Attempts != want.attempts {
			t.Errorf("%s: %s, both ways %v, %d attempts", s.Leaf, s.State, s.BothWays(), s.Attempts)
		}
	}
}

// The estimate is the median of the newest five passed runs before the commit.
func TestSeconds(t *testing.T) {
	var runs []reports.Run
	for i, s := range []float64{100, 1, 2, 3, 4, 9, 1000} {
		r := run("main", reports.FormatGoTest, false, []reports.Suite{{Path: "example.com/shop", Duration: time.Duration(s * float64(time.Second))}})
		r.Started = time.Date(2026, 1, 1, i, 0, 0, 0, time.UTC)
		runs = append(runs, r)
	}
	broken := run("main", reports.FormatGoTest, false, []reports.Suite{{Path: "example.com/shop", Duration: time.Hour, Failures: []reports.SuiteFailure{{Node: "build"}}}, {Path: "example.com/shop/b"}})
	broken.Started = time.Date(2026, 1, 1, 5, 30, 0, 0, time.UTC)
	got, err := Seconds(t.Context(), record(t, append(runs, broken)...), time.Date(2026, 1, 1, 5, 45, 0, 0, time.UTC))
	if diff := cmp.Diff(map[string]float64{"example.com/shop": 3}, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
}

const module = `
-- go.mod --
module example.com/shop

go 1.26
-- README.md --
-- cart/cart.go --
package cart

import _ "embed"

//go:embed data/prices.txt
var Prices string
-- cart/data/prices.txt --
1
-- cart/cart_test.go --
package cart

import "testing"

func Test(t *testing.T) {}
-- order/order.go --
package order

import _ "example.com/shop/cart"
-- order/order_test.go --
package order

import "testing"

func Test(t *testing.T) {}
-- order/testdata/golden.txt --
-- shop/shop.go --
package shop

import _ "example.com/shop/order"
-- shop/shop_ext_test.go --
package shop_test

import "testing"

func Test(t *testing.T) {}
-- helper/helper.go --
package helper
-- alone/alone_test.go --
package alone

import (
	"testing"

	_ "example.com/shop/helper"
)

func Test(t *testing.T) {}
-- broken/broken_test.go --
package broken

import (
	"testing"

	_ "example.com/shop/missing"
)

func Test(t *testing.T) {}
`

// A file affects the packages that depend on the package of its folder. A package whose
// dependencies are unknown is always selected.
func TestAffected(t *testing.T) {
	if testing.Short() {
		t.Skip("asks go list")
	}
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(module)).Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "-mod=mod")
	for files, want := range map[string]string{
		"README.md":                       "broken",
		"cart/cart.go":                    "broken cart order shop",
		"cart/data/prices.txt":            "broken cart order shop",
		"cart/gone.go":                    "broken cart order shop",
		"cart/cart_test.go":               "broken cart",
		"order/testdata/golden.txt":       "broken order shop",
		"order/testdata/deep/gone/x.txt":  "broken order shop",
		"shop/shop_ext_test.go":           "broken shop",
		"helper/helper.go":                "alone broken",
		"cart/cart_test.go helper/new.go": "alone broken cart",
		"go.mod":                          "all",
		"sub/go.mod":                      "broken",
	} {
		var paths []string
		for f := range strings.FieldsSeq(files) {
			paths = append(paths, filepath.Join(dir, filepath.FromSlash(f)))
		}
		s, err := Affected(t.Context(), dir, []string{"./..."}, nil, paths)
		if err != nil {
			t.Fatal(err)
		}
		got := "all"
		if s.Only != nil {
			var names []string
			for _, name := range slices.Sorted(maps.Keys(s.Only)) {
				names = append(names, strings.TrimPrefix(name, "example.com/shop/"))
			}
			got = strings.Join(names, " ")
		}
		if got != want {
			t.Errorf("%s: %s, want %s (%s)", files, got, want, s.Text)
		}
	}
	since(t, dir)
}

// since tests that changes since the merge base count: committed, staged, unstaged and untracked
// ones.
func since(t *testing.T, dir string) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "broken")); err != nil {
		t.Fatal(err)
	}
	git("init", "-q", "-b", "main")
	git("add", "-A")
	git("commit", "-q", "-m", "one")
	git("checkout", "-q", "-b", "fix")
	write("helper/helper.go", "package helper\n\n// changed\n")
	git("commit", "-q", "-a", "-m", "two")
	git("checkout", "-q", "main")
	write("cart/cart.go", "package cart\n")
	git("commit", "-q", "-a", "-m", "elsewhere") // only on main
	git("checkout", "-q", "fix")
	p := project.Project{Root: dir, Module: true}
	check := func(ref, want string) {
		t.Helper()
		s, err := Since(t.Context(), p, ref, []string{"./..."}, nil)
		if got := strings.Join(slices.Sorted(maps.Keys(s.Only)), " "); err != nil || strings.ReplaceAll(got, "example.com/shop/", "") != want {
			t.Errorf("since %s: %s, want %s (%v)", ref, got, want, err)
		}
	}
	check("main", "alone")
	check("HEAD", "")
	write("order/testdata/new.txt", "")
	check("HEAD", "order shop")
	write("shop/shop.go", "package shop\n")
	git("add", "shop")
	check("HEAD", "order shop") // shop no longer imports order, and changed itself
	if _, err := Since(t.Context(), p, "nowhere", []string{"./..."}, nil); err == nil || !strings.Contains(err.Error(), `no revision "nowhere"`) {
		t.Error(err)
	}
	git("stash", "-q", "-u")
	git("checkout", "-q", "--orphan", "unrelated")
	git("commit", "-q", "-m", "other")
	if _, err := Since(t.Context(), p, "main", []string{"./..."}, nil); err == nil || !strings.Contains(err.Error(), "no common ancestor") {
		t.Error(err)
	}
}

func TestDiffering(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.go", "b.go", ".flujo/history.db", "sub/c.go"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was := snapshot(dir)
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".flujo", "history.db"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "sub", "c.go")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "b.go"), time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	got := differing(was, snapshot(dir))
	slices.Sort(got)
	if diff := cmp.Diff([]string{filepath.Join(dir, "a.go"), filepath.Join(dir, "b.go"), filepath.Join(dir, "sub", "c.go")}, got); diff != "" {
		t.Error(diff)
	}
	if len(differing(was, was)) != 0 {
		t.Error("files differ from themselves")
	}
}

// Each change triggers one round. A change made while tests run, in the first round too, triggers
// the next one.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var rounds [][]string
	err := Watch(ctx, dir, func(changed []string) error {
		for i, path := range changed {
			changed[i] = filepath.Base(path)
		}
		rounds = append(rounds, changed)
		if len(rounds) == 3 {
			cancel()
			return nil
		}
		return os.WriteFile(filepath.Join(dir, string(rune('a'+len(rounds)-1))), nil, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{nil, {"a"}, {"b"}}, rounds); diff != "" {
		t.Error(diff)
	}
}

func TestWatchEndsWithAnError(t *testing.T) {
	refused := errors.New("no such flag")
	if err := Watch(t.Context(), t.TempDir(), func([]string) error { return refused }); err != refused {
		t.Errorf("got %v", err)
	}
}
