package reports

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadPlan(t *testing.T) {
	read := func(text string) (*Plan, error) {
		path := filepath.Join(t.TempDir(), "plan.toml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return ReadPlan(path)
	}
	got, err := read(`
target = 98.5

[[phase]]
name = "Phase 3"
until = 2025-08-08T19:00:00Z

[[phase]]
name = "Phase 4"
run = 4
target = 97.5

[[phase]]
name = "Phase 5"
`)
	if err != nil {
		t.Fatal(err)
	}
	want := &Plan{Target: 98.5, Phases: []PlanPhase{{Name: "Phase 3", Until: time.Date(2025, 8, 8, 19, 0, 0, 0, time.UTC)}, {Name: "Phase 4", Run: 4, Target: 97.5}, {Name: "Phase 5"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	local := time.Local
	t.Cleanup(func() { time.Local = local })
	time.Local = time.FixedZone("far east", 11*3600)
	for text, until := range map[string]time.Time{
		"2026-12-01":                time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		"2026-12-01T18:30:00":       time.Date(2026, 12, 1, 18, 30, 0, 0, time.UTC),
		"2026-12-01T18:30:00+02:00": time.Date(2026, 12, 1, 16, 30, 0, 0, time.UTC),
	} {
		p, err := read("[[phase]]\nname = \"a\"\nuntil = " + text)
		if err != nil || !p.Phases[0].Until.Equal(until) {
			t.Errorf("%s: %+v, %v, want %v in every time zone", text, p, err, until)
		}
	}
	for text, message := range map[string]string{
		"":                          "no target and no phase",
		"target = 985":              "from 0 to 100",
		"target = -1":               "from 0 to 100",
		"target = nan":              "from 0 to 100",
		"target = 98.5\ntraget = 1": "unknown key",
		"target = \"98.5%\"":        "line 1",
		"[[phase]]\nuntil = 2025-08-08T19:00:00Z":                                                                      "name is missing",
		"[[phase]]\nname = \"a\"\nuntil = 2025-08-08T19:00:00Z\nrun = 1":                                               "exclude each other",
		"[[phase]]\nname = \"a\"\n[[phase]]\nname = \"b\"":                                                             "only the last phase may have no end",
		"[[phase]]\nname = \"a\"\nrun = -1":                                                                            "not a run ID",
		"[[phase]]\nname = \"a\"\ntarget = 101":                                                                        `phase 1 ("a")`,
		"[[phase]]\nname = \"a\"\nuntil = 2025-08-08T19:00:00Z\n[[phase]]\nname = \"b\"\nuntil = 2025-08-07T19:00:00Z": "ends before the previous phase",
	} {
		var plan *PlanError
		if _, err := read(text); !errors.As(err, &plan) || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v, want %q", text, err, message)
		}
	}
	if _, err := ReadPlan(filepath.Join(t.TempDir(), "none.toml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
