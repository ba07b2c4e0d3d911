package sqlite

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core/coretest"
)

// The experiments of this package try to lose data. Each is a test with a short form,
// which is what runs without flags, and a long one; "flujo-harness selftest durability"
// has the lines of all of them.
//
// Beside every zero stands a control: the same check on something broken on purpose,
// which must be found.
var (
	proofN    = flag.Int("proof.n", 0, "sqlite: trials of an experiment; 0 is its short form")
	proofSeed = flag.Uint64("proof.seed", 1, "sqlite: seed of the experiments")
	proofFor  = flag.Duration("proof.for", 0, "sqlite: how long TestSoak takes; 0 is its short form, of a number of runs")
)

// trials is how many an experiment makes.
func trials(short int) int {
	if *proofN > 0 {
		return *proofN
	}
	if coretest.Brief() {
		return max(1, short/5)
	}
	return short
}

// several calls f for 0 to n-1, a few of them at once: mostly they wait for the disk.
func several(n int, f func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// chance is the source of randomness of one part of an experiment.
func chance(part uint64) *rand.Rand { return rand.New(rand.NewPCG(*proofSeed, part)) }

// repeat is the line that runs an experiment again.
func repeat(t *testing.T, n int) string {
	return fmt.Sprintf("go test ./core/sqlite -run '^%s$' -v -count=1 -timeout=0 -proof.n=%d -proof.seed=%d", t.Name(), n, *proofSeed)
}

// fixed is a time that depends on no clock.
func fixed(n int) time.Time { return time.Unix(1_700_000_000+int64(n), 0).UTC() }
