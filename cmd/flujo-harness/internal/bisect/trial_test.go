package bisect

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
)

// TestMain makes this program stand in for the compare command: it writes the verdicts of the
// environment to the file of --json and counts its calls.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "compare" {
		if err := os.WriteFile(os.Args[slices.Index(os.Args, "--json")+1], []byte(os.Getenv("VERDICTS")), 0o644); err != nil {
			os.Exit(3)
		}
		calls, _ := os.ReadFile(os.Getenv("CALLS"))
		if err := os.WriteFile(os.Getenv("CALLS"), append(calls, 'x'), 0o644); err != nil {
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A commit that counts showed to be bad, or of identical binaries, is compared once; times are compared as often as asked.
func TestCountsAreComparedOnce(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		outcome, by string
		failed      bool
		calls       int
	}{
		{"broken", "counts", true, 1},
		{"broken", "time", true, 3},
		{"broken", "instructions", true, 3},
		{"held", "counts", false, 3},
		{"", "", false, 1}, // the binaries are identical
	} {
		dir := t.TempDir()
		verdicts := fmt.Sprintf(`{"outcome":%q,"by":%q}`, c.outcome, c.by)
		if c.outcome == "" {
			verdicts = ""
		}
		t.Setenv("VERDICTS", `{"Verdicts":[`+verdicts+`]}`)
		t.Setenv("CALLS", filepath.Join(dir, "calls"))
		b := &benchTrial{&bisecting{commits: []string{"a", "b", "c"}}, dir, exe, "BenchmarkTotal", nil, map[string]bool{}}
		for range 3 {
			if failed, err := b.at(t.Context(), "b"); err != nil || failed != c.failed {
				t.Errorf("%+v: failed %v, error %v", c, failed, err)
			}
		}
		if calls, _ := os.ReadFile(filepath.Join(dir, "calls")); len(calls) != c.calls {
			t.Errorf("%+v: %d comparisons", c, len(calls))
		}
		if failed, err := b.at(t.Context(), "a"); err != nil || failed {
			t.Errorf("%+v: the good commit: failed %v, error %v", c, failed, err)
		}
		if _, err := b.at(t.Context(), "c"); err != nil {
			t.Error(err)
		}
		if calls, _ := os.ReadFile(filepath.Join(dir, "calls")); len(calls) != c.calls+1 {
			t.Errorf("%+v: another commit was not compared", c)
		}
	}
}

// One comparison of the bad end that is held ends the search, and its message fits a benchmark.
func TestABenchmarkThatIsNotSlower(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, verdicts := range []string{`[{"outcome":"held","by":"time"}]`, `[]`} {
		dir := t.TempDir()
		t.Setenv("VERDICTS", `{"Verdicts":`+verdicts+`}`)
		t.Setenv("CALLS", filepath.Join(dir, "calls"))
		b := &bisecting{commits: []string{"aaa", "bbb", "ccc"}, most: 100}
		s := New(2, 0.01)
		s.Exclude(1)
		_, found, why, err := b.search(t.Context(), s, &benchTrial{b, dir, exe, "BenchmarkTotal", nil, map[string]bool{}}, cli.NewProgress(io.Discard))
		if found || err != nil || why != "it is not slower at ccc than at aaa: nothing to find" {
			t.Errorf("%s: %v, %q, %v", verdicts, found, why, err)
		}
		if calls, _ := os.ReadFile(filepath.Join(dir, "calls")); len(calls) != 1 {
			t.Errorf("%s: %d comparisons", verdicts, len(calls))
		}
	}
}

// The search starts at an ancestor of the bad end, also where newer runs are of other branches.
func TestLastGoodIsAnAncestor(t *testing.T) {
	p := &past{seen: []observation{{"a1", 1, 0}, {"b1", 1, 0}, {"c1", 0, 1}, {"side", 1, 0}, {"d1", 1, 0}}}
	for want, commits := range map[string][]string{
		"b1": {"d1234", "c1234", "b1234", "a1234"},
		"a1": {"b1234", "a1234"},
		"":   {"a1234", "9999"},
	} {
		if got := p.lastGood(commits); got != want {
			t.Errorf("ancestors %v: %q, not %q", commits, got, want)
		}
	}
}
