package thresholds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// measured returns a session whose slots depend only on its number and seed.
func measured(s harness.Session) harness.SessionResult {
	rng := rand.New(rand.NewPCG(s.Seed, uint64(s.Number)))
	res := harness.SessionResult{Audit: []harness.Finding{{Check: "equal work", OK: true, Detail: "fine"}}}
	for range s.Plan.Blocks {
		slots := map[string][]float64{}
		for range s.Plan.Rounds {
			for arm, ns := range map[string]float64{harness.ArmNone: 1000, harness.ArmFloor: 50000, harness.ArmBackend: 66000, harness.ArmTwin: 66000, harness.ArmStubs: 30, harness.ArmSlow: 66000 + 65000*s.Plan.SlowBy} {
				slots[arm] = append(slots[arm], ns)
			}
		}
		slots[harness.ArmBackend][0] += 100 * rng.Float64()
		res.Slots = append(res.Slots, slots)
	}
	return res
}

func identity() Identity {
	p := harness.DefaultPlan()
	p.Sessions, p.Blocks, p.Rounds, p.SlowBy = 6, 2, 3, 0.1
	return Identity{Workload: "default", Durability: "process", Program: "sha256:1", Commit: "abc", Environment: machine.Environment{Kernel: "6"}, Plan: p}
}

// calibrate calibrates as the command does, with batch sizes 2 and 3 in place of fitted ones. The
// runner fails from session failAt on, or never if failAt is 0; ran are the sessions that it ran.
func calibrate(t *testing.T, k *Checkpoint, seed uint64, failAt int) (ran []int, l Limit, err error) {
	t.Helper()
	spec := harness.Spec{Workload: "default", Durability: "process", Plan: identity().Plan, Seed: seed, Dir: t.TempDir()}
	spec.Plan.Batch = map[string]int{"none": 6, "backend": 2, "floor": 2, "twin": 2, "slow": 2, "stubs": 6}
	reported := 0
	l, _, err = Calibrate(t.Context(), k.Resume(spec), prove(0.1, 100), k.Runner(func(_ context.Context, s harness.Session) (harness.SessionResult, error) {
		if failAt > 0 && s.Number >= failAt {
			return harness.SessionResult{}, errors.New("killed")
		}
		ran = append(ran, s.Number)
		return measured(s), nil
	}), func(*harness.Comparison) { reported++ })
	if err == nil && reported != spec.Plan.Sessions {
		t.Errorf("progress was reported %d times, want %d", reported, spec.Plan.Sessions)
	}
	return ran, l, err
}

func open(t *testing.T, path string, id Identity) *Checkpoint {
	t.Helper()
	k, err := OpenCheckpoint(path, id, time.Date(2026, 3, 1, 10, 42, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAKilledCalibrationGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "default.jsonl")
	if ran, _, err := calibrate(t, open(t, path, identity()), 77, 4); err == nil || len(ran) != 3 {
		t.Fatalf("ran %v, error %v", ran, err)
	}
	k, err := OpenCheckpoint(path, identity(), time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	if err != nil || k.Sessions() != 3 || k.Discarded != "" || k.Began.Day() != 1 {
		t.Fatalf("%+v, error %v", k, err)
	}
	ran, got, err := calibrate(t, k, 5, 0) // a new call has another seed
	if err != nil || !cmp.Equal(ran, []int{4, 5, 6}) {
		t.Fatalf("ran %v, error %v", ran, err)
	}
	// The result is that of an uninterrupted calibration.
	_, want, err := calibrate(t, open(t, filepath.Join(t.TempDir(), "x.jsonl"), identity()), 77, 0)
	if err != nil || got.Provenance.Seed != 77 || got.Provenance.Plan.Batch["none"] != 6 {
		t.Errorf("%+v, error %v", got, err)
	}
	got.Provenance.Environment, got.Provenance.Date = want.Provenance.Environment, want.Provenance.Date
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-in one go +resumed):\n%s", d)
	}
	if ran, _, err := calibrate(t, open(t, path, identity()), 1, 0); err != nil || len(ran) != 0 {
		t.Errorf("a complete one ran %v again, error %v", ran, err)
	}
	if err := open(t, path, identity()).Remove(); err != nil {
		t.Fatal(err)
	}
	if k := open(t, path, identity()); k.Sessions() != 0 || k.Discarded != "" {
		t.Errorf("after its end: %+v", k)
	}
}

func TestForeignSessionsAreNotTaken(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Identity)
		want   string
	}{
		"program":     {func(id *Identity) { id.Program = "sha256:2" }, "another build of the program"},
		"commit":      {func(id *Identity) { id.Commit = "abc+changes" }, "another commit"},
		"environment": {func(id *Identity) { id.Environment.Kernel = "7" }, "another environment"},
		"plan":        {func(id *Identity) { id.Plan.SlowBy = 0.05 }, "another plan"},
		"batches":     {func(id *Identity) { id.Plan.Batch = map[string]int{"none": 9} }, "another plan"},
		"seed":        {func(id *Identity) { id.Seed = 78 }, "another seed"},
		"workload":    {func(id *Identity) { id.Workload = "loop" }, "another workload"},
		"durability":  {func(id *Identity) { id.Durability = "power" }, "another workload"},
		"same":        {func(id *Identity) { id.Seed = 77 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "default.jsonl")
			if _, _, err := calibrate(t, open(t, path, identity()), 77, 3); err == nil {
				t.Fatal("it was not killed")
			}
			id := identity()
			tc.change(&id)
			k := open(t, path, id)
			if tc.want == "" {
				if k.Sessions() != 2 || k.Discarded != "" {
					t.Errorf("%+v", k)
				}
				return
			}
			if k.Sessions() != 0 || !strings.Contains(k.Discarded, "are of "+tc.want) {
				t.Errorf("%d sessions, %q, want %q", k.Sessions(), k.Discarded, tc.want)
			}
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("they are still there: %v", err)
			}
		})
	}
}

// Wherever the file is truncated, the complete sessions before that point are used.
func TestATornCheckpointGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "default.jsonl")
	if _, _, err := calibrate(t, open(t, path, identity()), 77, 4); err == nil {
		t.Fatal("it was not killed")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	var cuts []int
	for cut := 0; cut <= len(data); cut += 397 {
		cuts = append(cuts, cut)
	}
	end := 0
	for _, line := range lines[:4] { // a line counts only with its line break
		end += len(line)
		cuts = append(cuts, end-1, end, min(end+1, len(data)))
	}
	for _, cut := range cuts {
		want, at := 0, len(lines[0])
		for _, line := range lines[1:4] {
			if at += len(line); at <= cut {
				want++
			}
		}
		if err := os.WriteFile(path, data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		k := open(t, path, identity())
		if k.Sessions() != want || (k.Discarded != "") != (cut < len(lines[0])) {
			t.Fatalf("cut after %d of %d bytes: %d sessions, want %d (%s)", cut, len(data), k.Sessions(), want, k.Discarded)
		}
		ran, _, err := calibrate(t, k, 77, 0)
		if err != nil || len(ran) != 6-want || open(t, path, identity()).Sessions() != 6 {
			t.Fatalf("cut after %d bytes: ran %v, error %v", cut, ran, err)
		}
	}
	for _, bad := range []string{"nonsense\n", `{"problem":"boom"}` + "\n"} { // and with it what follows
		if err := os.WriteFile(path, slices.Concat(lines[0], lines[1], []byte(bad), lines[2]), 0o600); err != nil {
			t.Fatal(err)
		}
		if k := open(t, path, identity()); k.Sessions() != 1 {
			t.Errorf("%d sessions with %q after the first", k.Sessions(), bad)
		}
	}
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k := open(t, path, identity()); k.Sessions() != 0 || !strings.Contains(k.Discarded, "cannot be read") {
		t.Errorf("%+v", k)
	}
}

// An invalid session is not recorded: it would be read back on every resume.
func TestFaultySessionsAreNotKept(t *testing.T) {
	for name, spoil := range map[string]func(*harness.SessionResult){
		"problem": func(r *harness.SessionResult) { r.Problem = "script ran dry" },
		"audit":   func(r *harness.SessionResult) { r.Audit[0].OK = false },
		"nothing": func(r *harness.SessionResult) { r.Slots = nil },
	} {
		path := filepath.Join(t.TempDir(), "default.jsonl")
		k := open(t, path, identity())
		run := k.Runner(func(_ context.Context, s harness.Session) (harness.SessionResult, error) {
			res := measured(s)
			if s.Number == 2 {
				spoil(&res)
			}
			return res, nil
		})
		for n := 1; n <= 2; n++ {
			if _, err := run(t.Context(), harness.Session{Number: n, Seed: 77, Plan: identity().Plan}); err != nil {
				t.Fatal(err)
			}
		}
		if got := open(t, path, identity()).Sessions(); got != 1 || k.Sessions() != 1 {
			t.Errorf("%s: %d sessions are kept, %d in the file", name, k.Sessions(), got)
		}
		if _, err := run(t.Context(), harness.Session{Number: 1, Seed: 78, Plan: identity().Plan}); err == nil {
			t.Errorf("%s: a session of another seed was given", name)
		}
	}
	full := open(t, filepath.Join(t.TempDir(), "file", "default.jsonl"), identity())
	if err := os.WriteFile(filepath.Dir(full.path), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := full.Runner(func(_ context.Context, s harness.Session) (harness.SessionResult, error) { return measured(s), nil })
	if _, err := run(t.Context(), harness.Session{Number: 1, Plan: identity().Plan}); err == nil || !strings.Contains(fmt.Sprint(err), "keep session 1") {
		t.Errorf("a session that could not be kept: %v", err)
	}
}
