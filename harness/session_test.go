package harness

import (
	"strings"
	"testing"
	"time"
)

// small is a plan for tests: it measures next to nothing and audits everything.
func small() Plan {
	p := DefaultPlan()
	p.Blocks, p.Rounds, p.Warmups = 2, 2, 2
	p.Batch = batches(2, 8)
	return p
}

// batches of the arms that save, and of the rest.
func batches(saving, quick int) map[string]int {
	b := map[string]int{}
	for _, name := range costArms {
		if b[name] = saving; !saves(name) && name != ArmFloor {
			b[name] = quick
		}
	}
	return b
}

func order(t *testing.T, m Mutant) Session {
	return Session{Workload: "default", Durability: "process", Plan: small(), Number: 1, Seed: 7, Dir: t.TempDir(), Mutant: m, tick: time.Nanosecond} // slots of any length, but of something
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
	if len(res.Audit) != 7 || len(res.Slots) != 2 {
		t.Errorf("%d findings, %d blocks; want 7 and 2", len(res.Audit), len(res.Slots))
	}
	if res.Counted.Kept != 2*2*(4*2+2*8) {
		t.Errorf("accounting %+v", res.Counted)
	}
}

// Each mutant must be found by the check that is there for it, also where a slot times one
// operation, as that of the default workload does: a slot that is empty by the mutant would
// be refused as too short for the clock, and the check of the audit never be seen red.
func TestAuditFindsTheMutants(t *testing.T) {
	one := small()
	one.Batch = batches(1, 64)
	for name, p := range map[string]Plan{"one operation a slot": one, "two and more": small()} {
		t.Run(name, func(t *testing.T) { auditFindsTheMutants(t, p) })
	}
}

func auditFindsTheMutants(t *testing.T, p Plan) {
	for m, want := range map[Mutant]string{
		MutantNoSave:    checkSaves,
		MutantUnsynced:  checkDurability,
		MutantShort:     checkScripts,
		MutantLong:      checkScripts,
		MutantLeftover:  checkRuns,
		MutantSurvivors: checkRuns,
		MutantSkip:      checkWork,
		MutantDrop:      checkSamples,
	} {
		t.Run(string(m), func(t *testing.T) {
			s := order(t, m)
			s.Plan = p
			res, err := s.Run(t.Context())
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
				t.Errorf("the mutant was not found by %q; found: %q", want, bad)
			}
			t.Log(bad)
		})
	}
}

func TestACoarseClockIsRefused(t *testing.T) {
	s := order(t, MutantCoarse)
	s.tick = 0
	res, err := s.Run(t.Context())
	if err != nil || !strings.Contains(res.Problem, "a clock with ticks of 10ms cannot measure") {
		t.Errorf("problem %q, error %v", res.Problem, err)
	}
}
