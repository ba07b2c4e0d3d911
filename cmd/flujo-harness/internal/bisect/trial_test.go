package bisect

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
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

// A commit that counts showed to be bad is compared once; times are compared as often as asked.
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
	} {
		dir := t.TempDir()
		t.Setenv("VERDICTS", fmt.Sprintf(`{"Verdicts":[{"outcome":%q,"by":%q}]}`, c.outcome, c.by))
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
