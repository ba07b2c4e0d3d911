package stubs

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Numbers is a deterministic source of random numbers.
type Numbers = rand.Rand

func numbers(seed uint64) *Numbers { return rand.New(rand.NewPCG(seed, seed>>32|seed<<32)) }

// Latency returns the duration of a reply.
type Latency func(*Numbers) time.Duration

// Fixed returns a constant latency.
func Fixed(d time.Duration) Latency { return func(*Numbers) time.Duration { return d } }

// LogNormal returns log-normal latencies, a common model of service latencies. sigma is the standard
// deviation of the natural logarithm: with 0.5 the 95th percentile is 2.3 times the median.
func LogNormal(median time.Duration, sigma float64) Latency {
	return func(r *Numbers) time.Duration {
		d := float64(median) * math.Exp(sigma*r.NormFloat64())
		return time.Duration(min(d, float64(math.MaxInt64/2)))
	}
}

// Sampled returns latencies drawn uniformly from recorded ones, or 0 if there are none.
func Sampled(recorded ...time.Duration) Latency {
	recorded = slices.Clone(recorded)
	return func(r *Numbers) time.Duration {
		if len(recorded) == 0 {
			return 0
		}
		return recorded[r.IntN(len(recorded))]
	}
}
