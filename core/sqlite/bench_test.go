package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// These benchmarks compare arms within one process. An iteration is a round, in which every arm is
// timed once, in a random order with a fixed seed. The reported value is the median over the rounds
// of the ratio of two arms, with its interval. Arms of one round see about the same noise, so the
// ratio is stable even if absolute times are not.
//
//	go test -run '^$' -bench Ratio -benchtime 300x ./core/sqlite

// median returns the median of v and its 95% interval, without an assumption about the
// distribution: from the k-th smallest to the k-th largest value, with the largest k for which a
// fair coin falls heads fewer than k times in n with a probability of at most 2.5% (David and
// Nagaraja, Order Statistics, section 7.1). With fewer than 6 values there is no such k, and the
// interval is from 0 to infinity. Rounds must be independent. Ties only make the interval wider.
func median(v []float64) (mid, low, high float64) {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	if n == 0 {
		return math.NaN(), 0, math.Inf(1)
	}
	mid = (s[(n-1)/2] + s[n/2]) / 2
	logFactorial := func(n int) float64 { l, _ := math.Lgamma(float64(n) + 1); return l }
	k, below := 0, 0.0
	for ; ; k++ {
		below += math.Exp(logFactorial(n) - logFactorial(k) - logFactorial(n-k) - float64(n)*math.Ln2)
		if below > 0.025 {
			break
		}
	}
	if k == 0 {
		return mid, 0, math.Inf(1)
	}
	return mid, s[k-1], s[n-k]
}

// The ranks are from the table in Hollander and Wolfe, Nonparametric Statistical Methods, or
// computed by hand: P(Bin(6, 1/2) = 0) = 1/64, P(Bin(5, 1/2) = 0) = 1/32.
func TestMedianInterval(t *testing.T) {
	for n, rank := range map[int]int{5: 0, 6: 1, 8: 1, 9: 2, 10: 2, 20: 6, 50: 18, 100: 40, 1000: 469} {
		v := make([]float64, n)
		for i := range v {
			v[(i*7)%n] = float64(i + 1) // a permutation, because no n is divisible by 7
		}
		mid, low, high := median(v)
		wantLow, wantHigh := float64(rank), float64(n+1-rank)
		if rank == 0 {
			wantLow, wantHigh = 0, math.Inf(1)
		}
		if mid != float64(n+1)/2 || low != wantLow || high != wantHigh {
			t.Errorf("n=%d: %v (%v to %v), want %v (%v to %v)", n, mid, low, high, float64(n+1)/2, wantLow, wantHigh)
		}
	}
}

// inTurns runs rounds of arms that time themselves, and returns the seconds of each arm by round.
// After a fixed number of rounds it reopens the arms with new databases, so that all databases have
// the same age.
func inTurns(b *testing.B, rounds int, open func(session int) (arms []func(round int) time.Duration, done func())) [][]float64 {
	rng := rand.New(rand.NewPCG(1, 1))
	var took [][]float64
	var arms []func(int) time.Duration
	done := func() {}
	for round := 0; b.Loop(); round++ {
		if round%rounds == 0 {
			done()
			arms, done = open(round / rounds)
			took = append(took, make([][]float64, len(arms)-len(took))...)
		}
		for _, arm := range rng.Perm(len(arms)) {
			took[arm] = append(took[arm], arms[arm](round%rounds).Seconds())
		}
	}
	done()
	return took
}

// reportRatio reports the ratio of two arms over the rounds.
func reportRatio(b *testing.B, over, under []float64) {
	ratios := make([]float64, len(over))
	for i := range ratios {
		ratios[i] = over[i] / under[i]
	}
	mid, low, high := median(ratios)
	b.ReportMetric(mid, "ratio")
	b.ReportMetric(low, "ratio_lo")
	b.ReportMetric(high, "ratio_hi")
	b.ReportMetric(float64(len(ratios)), "rounds")
	b.ReportMetric(0, "ns/op") // hides the time of a round, which means nothing
}

// reportMedian reports the median of the seconds of an arm, multiplied by scale.
func reportMedian(b *testing.B, seconds []float64, scale float64, unit string) {
	mid, _, _ := median(seconds)
	b.ReportMetric(mid*scale, unit)
}

// note is a scope of 1 KB that changes in every step.
type note struct {
	Text string
	N    int
}

func benchPipeline(b *testing.B, steps int) (*core.Pipeline[note], note) {
	next := core.Func[int, int](func(_ context.Context, r core.Request[int]) (int, error) { return r.Input + 1, nil })
	var nodes []*core.Node[note]
	for i := range steps {
		nodes = append(nodes, core.Step(fmt.Sprint("s", i), next, func(s note) int { return s.N }, func(s *note, out int) { s.N = out }))
	}
	p, err := core.New("bench", nodes...)
	must(b, err)
	return p, note{Text: strings.Repeat("x", 1000)}
}

func benchKeys(n int) []core.RunKey {
	keys := make([]core.RunKey, n)
	for i := range keys {
		keys[i].Run = fmt.Sprintf("r%06d", i)
	}
	return keys
}

// must ends the benchmark on an error.
func must(b *testing.B, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}

// BenchmarkGroupRatio compares runs of 3 steps at durability power: the rate when saves share
// transactions, divided by the rate with a transaction for each save. It also reports how long a
// save takes in the first case. The goals for 64 concurrent runs are a ratio of 10 and a p99 below
// 10 times the p50.
func BenchmarkGroupRatio(b *testing.B) {
	for _, at := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("at-once=%d", at), func(b *testing.B) { groupRatio(b, at) })
	}
}

func groupRatio(b *testing.B, at int) {
	const (
		rounds = 10 // with the same two databases
		each   = 8  // runs of each worker per slot; with fewer the start and end of a slot would dominate
	)
	p, scope := benchPipeline(b, 3)
	keys := benchKeys((1 + rounds) * at * each)
	dir := b.TempDir()
	var latencies []time.Duration // of the saves in the arm with shared transactions
	slot := func(back *Backend, n int) time.Duration {
		watches := make([]stopwatch, at)
		errs := make([]error, at*each)
		var wg sync.WaitGroup
		began := time.Now()
		for w := range at {
			watches[w].Backend = back
			wg.Go(func() {
				engine := core.NewEngine(core.WithBackend(&watches[w]))
				for i := range each {
					_, errs[w*each+i] = core.Run(b.Context(), engine, p, keys[(n*at+w)*each+i], scope)
				}
			})
		}
		wg.Wait()
		took := time.Since(began)
		must(b, errors.Join(errs...))
		if n > 0 && back.maxBatch > 1 {
			for w := range watches {
				latencies = append(latencies, watches[w].took...)
			}
		}
		return took
	}
	took := inTurns(b, rounds, func(session int) (arms []func(int) time.Duration, done func()) {
		var opened []*Backend
		for _, batch := range []int{maxBatch, 1} {
			back, err := Open(b.Context(), filepath.Join(dir, fmt.Sprintf("batch%d-%d.db", batch, session)), sqlitedb.Power)
			must(b, err)
			back.maxBatch = batch
			opened = append(opened, back)
			slot(back, 0) // warm-up
			arms = append(arms, func(round int) time.Duration { return slot(back, 1+round) })
		}
		return arms, func() { must(b, errors.Join(opened[0].Close(), opened[1].Close())) }
	})
	reportRatio(b, took[1], took[0]) // a ratio of times is the inverse of a ratio of rates
	for i, name := range []string{"grouped-runs/s", "single-runs/s"} {
		mid, _, _ := median(took[i])
		b.ReportMetric(float64(at*each)/mid, name)
	}
	slices.Sort(latencies)
	b.ReportMetric(float64(latencies[len(latencies)/2].Nanoseconds())/1e3, "p50-us/save")
	b.ReportMetric(float64(latencies[len(latencies)*99/100].Nanoseconds())/1e3, "p99-us/save")
}

// stopwatch measures the duration of saves.
type stopwatch struct {
	core.Backend
	mu   sync.Mutex
	took []time.Duration
}

func (s *stopwatch) lap(began time.Time) {
	d := time.Since(began)
	s.mu.Lock()
	s.took = append(s.took, d)
	s.mu.Unlock()
}

func (s *stopwatch) Start(ctx context.Context, rec core.StartRecord) (core.Lease, error) {
	defer s.lap(time.Now())
	return s.Backend.Start(ctx, rec)
}

func (s *stopwatch) Step(ctx context.Context, lease core.Lease, rec core.StepRecord) error {
	defer s.lap(time.Now())
	return s.Backend.Step(ctx, lease, rec)
}

func (s *stopwatch) Finish(ctx context.Context, lease core.Lease, rec core.FinishRecord) error {
	defer s.lap(time.Now())
	return s.Backend.Finish(ctx, lease, rec)
}
