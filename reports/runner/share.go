package runner

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// Share selects a part of the packages: the Index-th of N, from 1. The zero value selects all. It is a
// flag.Value and a pflag.Value.
type Share struct{ Index, N int }

func (s *Share) String() string {
	if s.N == 0 {
		return "1/1"
	}
	return fmt.Sprintf("%d/%d", s.Index, s.N)
}

// Type returns the name of the value in the help text.
func (s *Share) Type() string { return "I/N" }

// Set parses a value such as "1/4".
func (s *Share) Set(text string) error {
	i, n, _ := strings.Cut(text, "/")
	var err1, err2 error
	s.Index, err1 = strconv.Atoi(i)
	s.N, err2 = strconv.Atoi(n)
	if err1 != nil || err2 != nil || s.Index < 1 || s.Index > s.N {
		return errors.New("use I/N, the I-th of N parts, from 1/N to N/N")
	}
	return nil
}

// deal assigns each of the sorted packages to one of n parts, numbered from 0: in descending order of
// their duration, each to the part with the shortest total so far. For a package of unknown duration it
// assumes the mean of the known ones; if none is known, it assigns packages to parts in turn.
//
// This is the LPT rule (longest processing time first). Its longest part takes at most 4/3 of the time
// of the best possible assignment (R. L. Graham, Bounds on Multiprocessing Timing Anomalies, SIAM J.
// Appl. Math. 17, 1969), if the durations are those of the next run.
func deal(packages []string, seconds map[string]float64, n int) (parts []int) {
	known, sum := 0, 0.0
	for _, pkg := range packages {
		if s, ok := seconds[pkg]; ok {
			known, sum = known+1, sum+s
		}
	}
	mean := 1.0
	if known > 0 && sum > 0 {
		mean = sum / float64(known)
	}
	cost := func(i int) float64 {
		if s, ok := seconds[packages[i]]; ok {
			return max(s, mean/1000) // above 0, so that packages without a measurable duration are spread over the parts
		}
		return mean
	}
	order := make([]int, len(packages))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(cost(y), cost(x)) })
	parts, load := make([]int, len(packages)), make([]float64, n)
	for _, i := range order {
		least := 0
		for p := range load {
			if load[p] < load[least] {
				least = p
			}
		}
		parts[i], load[least] = least, load[least]+cost(i)
	}
	return parts
}

// newDealt describes a part of all packages: mine contains their indexes.
func newDealt(all []string, mine []int, parts int) reports.Dealt {
	sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
	return reports.Dealt{Of: hex.EncodeToString(sum[:8]), All: len(all), Mine: mine, Parts: parts}
}
