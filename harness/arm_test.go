package harness

import (
	"slices"
	"testing"
)

// Which arms are slowed down, by how much: the injected slow-down, the mutants that leave it out or
// make the A/A pair unequal, and a regression made on purpose in all arms with the backend.
func TestSlowedArms(t *testing.T) {
	w, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		mutant Mutant
		slower float64
		want   map[string]float64 // arms that are slowed down
	}{
		{MutantNone, 0, map[string]float64{ArmSlow: 0.25}},
		{MutantNoSlowdown, 0, nil},
		{MutantUnequalAA, 0, map[string]float64{ArmSlow: 0.25, ArmTwin: 0.25}},
		{MutantNone, 0.1, map[string]float64{ArmBackend: 0.1, ArmTwin: 0.1, ArmSlow: 1.25*1.1 - 1}},
	} {
		s := order(t, tc.mutant)
		s.Slower = tc.slower
		o := &opener{session: s, workload: w}
		if o.backend, o.level, err = levelAt("", s.Durability); err == nil {
			o.expected, err = w.expect(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := o.record(t.Context(), t.TempDir(), runKeys(100)); err != nil {
			t.Fatal(err)
		}
		book, err := o.book()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(slices.Values(costArms)) {
			a, err := o.open(t.Context(), book, name, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if want := tc.want[name]; a.slow < want-1e-9 || a.slow > want+1e-9 || a.more != 0 {
				t.Errorf("mutant %q, slower by %v: arm %s is slowed down by %v and %v transactions, want %v", tc.mutant, tc.slower, name, a.slow, a.more, want)
			}
			if err := a.close(); err != nil {
				t.Error(err)
			}
		}
	}
}
