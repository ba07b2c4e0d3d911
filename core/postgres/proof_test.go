package postgres

import (
	"flag"

	"github.com/flujo/flujo-harness/core/coretest"
)

// The experiments that try to lose data have a short form, which runs without flags, and a long
// one. "flujo-harness selftest durability" lists the commands of all experiments.
var proofN = flag.Int("proof.n", 0, "postgres: trials of an experiment; 0 is its short form")

// trials returns the number of trials of an experiment.
func trials(short int) int {
	if *proofN > 0 {
		return *proofN
	}
	if coretest.Brief() {
		return max(1, short/5)
	}
	return short
}
