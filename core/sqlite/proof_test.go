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

// The experiments of this package try to lose data. Each is a test with a short form, which runs
// without flags, and a long one. "flujo-harness selftest durability" lists the commands of all
// experiments.
//
// Every result of zero has a control: the same check of something that is broken on purpose, which
// must be detected.
var (
	proofN    = flag.Int("proof.n", 0, "sqlite: trials of an experiment; 0 is its short form")
	proofSeed = flag.Uint64("proof.seed", 1, "sqlite: seed of the experiments")
	proofFor  = flag.Duration("proof.for", 0, "sqlite: how long TestSoak takes; 0 is its short form, of a number of runs")
)

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

// several calls f for 0 to n-1, some of the calls concurrently, because they mostly wait for the
// disk.
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

// chance returns the random numbers for one part of an experiment.
func chance(part uint64) *rand.Rand { return rand.New(rand.NewPCG(*proofSeed, part)) }

// repeat returns the command that repeats an experiment.
func repeat(t *testing.T, n int) string {
	return fmt.Sprintf("go test ./core/sqlite -run '^%s$' -v -count=1 -timeout=0 -proof.n=%d -proof.seed=%d", t.Name(), n, *proofSeed)
}

// fixed returns a time that does not depend on the clock.
func fixed(n int) time.Time { return time.Unix(1_700_000_000+int64(n), 0).UTC() }
