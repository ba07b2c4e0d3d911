package harness

import (
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
