package stubs

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Numbers are random numbers that follow from a seed alone.
type Numbers = rand.Rand

func numbers(seed uint64) *Numbers { return rand.New(rand.NewPCG(seed, seed>>32|seed<<32)) }

// Latency says how long a reply takes.
type Latency func(*Numbers) time.Duration

// Fixed is always d.
func Fixed(d time.Duration) Latency { return func(*Numbers) time.Duration { return d } }

// LogNormal is the shape that latencies of services have: half of them take at
// most median; sigma is the standard deviation of the logarithm (0.5 makes the
// 95th percentile 2.3 times the median).
func LogNormal(median time.Duration, sigma float64) Latency {
	return func(r *Numbers) time.Duration {
		d := float64(median) * math.Exp(sigma*r.NormFloat64())
		return time.Duration(min(d, float64(math.MaxInt64/2)))
	}
}

// Sampled draws from recorded latencies. Without any it is 0.
func Sampled(recorded ...time.Duration) Latency {
	recorded = slices.Clone(recorded)
	return func(r *Numbers) time.Duration {
		if len(recorded) == 0 {
			return 0
		}
		return recorded[r.IntN(len(recorded))]
	}
}
