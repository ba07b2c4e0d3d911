package harness

// Mutant is a defect that is put into a measurement on purpose, to show that the audit, the
// self-check or the judge detects it. The zero value is no defect.
type Mutant string

// The mutants.
const (
	MutantNone       Mutant = ""
	MutantUnequalAA  Mutant = "unequal-aa"    // the twin of the A/A pair is slowed down too
	MutantNoSlowdown Mutant = "no-slowdown"   // the slow arm is not slowed down
	MutantNoSave     Mutant = "no-save"       // step saves of the backend arm are dropped
	MutantUnsynced   Mutant = "unsynced"      // the backend arm saves with synchronous=OFF
	MutantShort      Mutant = "short"         // one output is missing in a script of the backend arm
	MutantLong       Mutant = "long"          // one output of the backend arm is never used
	MutantLeftover   Mutant = "leftover"      // one planned run of the backend arm is not made
	MutantSkip       Mutant = "skip-step"     // the backend arm gets other work than the other arms
	MutantEmptied    Mutant = "emptied"       // the timed operations of the backend arm do nothing
	MutantDrop       Mutant = "drop-sample"   // one slot is left out of the samples
	MutantSurvivors  Mutant = "survivors"     // a run of the backend arm that failed is left out
	MutantCoarse     Mutant = "coarse-clock"  // the clock has ticks of 10 ms
	MutantNoisy      Mutant = "noisy-place"   // other processes have the processor most of the time
	MutantLyingDisk  Mutant = "lying-storage" // an fsync takes 5 µs
)

// Mutants returns all mutants.
func Mutants() []Mutant {
	return []Mutant{MutantUnequalAA, MutantNoSlowdown, MutantNoSave, MutantUnsynced, MutantShort, MutantLong, MutantLeftover, MutantSkip,
		MutantEmptied, MutantDrop, MutantSurvivors, MutantCoarse, MutantNoisy, MutantLyingDisk}
}
