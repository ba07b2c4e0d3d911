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

// Share is which part of the packages to run: the Index-th of N, from 1. The zero value is
// all of them. It is a flag.Value and a pflag.Value.
type Share struct{ Index, N int }

func (s *Share) String() string {
	if s.N == 0 {
		return "1/1"
	}
	return fmt.Sprintf("%d/%d", s.Index, s.N)
}

// Type names the value in the help.
func (s *Share) Type() string { return "I/N" }

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

// deal gives each of the packages, which are sorted, to one of n parts, from 0: the longest first,
// each to the part that has least so far. Packages whose seconds are not known take as long as
// others on average. Without any the parts are dealt in turns. It is LPT, whose longest part takes
// at most 4/3 of the time of the best possible (R. L. Graham, Bounds on Multiprocessing Timing
// Anomalies, SIAM J. Appl. Math. 17, 1969).
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
			return max(s, mean/1000) // many that take no time are spread, too
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

// newDealt says which part of all packages has those at the given places.
func newDealt(all []string, mine []int, parts int) reports.Dealt {
	sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
	return reports.Dealt{Of: hex.EncodeToString(sum[:8]), All: len(all), Mine: mine, Parts: parts}
}
