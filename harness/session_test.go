package harness

import (
	"strings"
	"testing"
)

// small is a plan for tests: it measures next to nothing and audits everything.
func small() Plan {
	p := DefaultPlan()
	p.Blocks, p.Rounds, p.Warmups, p.Batch, p.NoneBatch = 2, 2, 2, 2, 4
	return p
}

func order(t *testing.T, m Mutant) Session {
	return Session{Workload: "default", Durability: "process", Plan: small(), Number: 1, Seed: 7, Dir: t.TempDir(), Mutant: m, anySlot: true}
}

func TestSessionIsAudited(t *testing.T) {
	res, err := order(t, MutantNone).Run(t.Context())
	if err != nil || res.Problem != "" {
		t.Fatalf("problem %q, error %v", res.Problem, err)
	}
	for _, f := range res.Audit {
		if !f.OK {
			t.Errorf("%s: %s", f.Check, f.Detail)
		}
	}
	if len(res.Audit) != 6 || len(res.Slots) != 2 {
		t.Errorf("%d findings, %d blocks; want 6 and 2", len(res.Audit), len(res.Slots))
	}
	if res.Counted.Kept != 2*2*(4*2+8) {
		t.Errorf("accounting %+v", res.Counted)
	}
}

// Each lie must be found, by the check that is there for it.
func TestAuditFindsTheMutants(t *testing.T) {
	for m, want := range map[Mutant]string{
		MutantNoSave:   checkSaves,
		MutantShort:    checkScripts,
		MutantLeftover: checkRuns,
		MutantSkip:     checkWork,
		MutantDrop:     checkSamples,
	} {
		t.Run(string(m), func(t *testing.T) {
			res, err := order(t, m).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var bad []string
			for _, f := range res.Audit {
				if !f.OK {
					bad = append(bad, f.Check+": "+f.Detail)
				}
			}
			if !strings.Contains(strings.Join(bad, "\n"), want+": ") {
				t.Errorf("the lie was not found by %q; found: %q", want, bad)
			}
			t.Log(bad)
		})
	}
}
