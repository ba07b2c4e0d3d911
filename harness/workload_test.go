package harness

import (
	"math"
	"testing"
)

// Every workload, at either durability, does the same work in every arm, and no
// script runs dry: the audit of a small session is good.
func TestEveryWorkloadIsAudited(t *testing.T) {
	all, err := Workloads()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range all {
		for _, d := range []string{"process", "power"} {
			t.Run(w.Name+"/"+string(d), func(t *testing.T) {
				if testing.Short() && (!w.sharing() || w.AtOnce > 8) {
					t.Skip("with -short, as under the race detector, those whose runs or branches save at the same time")
				}
				s := order(t, MutantNone)
				s.Workload, s.Durability = w.Name, d
				res, err := s.Run(t.Context())
				if err != nil || res.Problem != "" {
					t.Fatalf("problem %q, error %v", res.Problem, err)
				}
				for _, f := range res.Audit {
					if !f.OK {
						t.Errorf("%s: %s", f.Check, f.Detail)
					}
				}
				if c := res.Counters[ArmBackend]; c.Allocs <= res.Counters[ArmNone].Allocs {
					t.Errorf("the backend arm allocates %v objects a run, the other %v", c.Allocs, res.Counters[ArmNone].Allocs)
				}
			})
		}
	}
}

// A commit syncs once against a loss of power, and not at all against the end of a process. What the
// warm-ups sync does not count.
func TestSyncsOfARun(t *testing.T) {
	for durability, each := range map[string]float64{"process": 0, "power": 1} {
		s := order(t, MutantNone)
		s.Durability = durability
		res, err := s.Run(t.Context())
		if c := res.Counters[ArmBackend]; err != nil || c.Commits == 0 || math.Abs(c.Syncs-each*c.Commits) > 0.1 {
			t.Errorf("%s: %+v, error %v", durability, c, err)
		}
	}
}

// Why a workload's time is not judged is known to the process that has the workload, and comes with
// its sessions to what judges them.
func TestWhyTimeIsNotJudgedComesWithTheSessions(t *testing.T) {
	w, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	w.Name, w.Untimed = "mine", "its floor is bistable"
	spec := Spec{Workload: w.Name, Durability: "process", Plan: Plan{Sessions: 2, Blocks: 1, Warmups: 1, Rounds: 4, SlowBy: 0.25}, Seed: 1, Dir: t.TempDir()}
	c, err := Measure(t.Context(), spec, InProcess(w), func(*Comparison) bool { return true })
	if err != nil || c.Untimed != w.Untimed {
		t.Fatalf("the comparison says %q, problem %q, error %v", c.Untimed, c.Problem, err)
	}
	run := Revision{Name: "this", Run: InProcess(w)}
	d, _, err := Against(t.Context(), AgainstSpec{Spec: spec, Base: run, Head: run}, func(*Difference) More { return More{} })
	if err != nil || d.Untimed != w.Untimed || d.Instructions != nil {
		t.Errorf("the difference says %q, instructions %v, error %v", d.Untimed, d.Instructions, err)
	}
	for _, name := range []string{"at-once-64", "default"} {
		if w, err := WorkloadNamed(name); err != nil || (w.Untimed != "") != (name == "at-once-64") {
			t.Errorf("%s: %q, error %v", name, w.Untimed, err)
		}
	}
}
