package harness

import (
	"errors"
	"fmt"
	"math"

	"github.com/flujo/flujo-harness/harness/machine"
)

// ErrBadSamples is the error for samples that cannot be compared.
var ErrBadSamples = errors.New("bad samples")

const (
	samplesInBlock = 5
	blocksInGroup  = 5
	leastSamples   = 2 * blocksInGroup * samplesInBlock // two groups, fewer cannot be judged
)

// FromSamples makes a difference from samples that another program took: durations of an
// operation of two variants, in ns. The i-th samples of both are a pair, so they should have
// been taken in turns. At least 50 of each are needed. Such samples have no A/A pair and no
// injected slow-down, and a note of the result says so. Errors wrap [ErrBadSamples].
func FromSamples(name string, base, head []float64) (*Difference, error) {
	switch {
	case len(base) != len(head):
		return nil, fmt.Errorf("%w of %q: %d of one variant and %d of the other: they are compared in pairs", ErrBadSamples, name, len(base), len(head))
	case len(base) < leastSamples:
		return nil, fmt.Errorf("%w of %q: %d of each: %d are the least that can be judged", ErrBadSamples, name, len(base), leastSamples)
	}
	for _, v := range [][]float64{base, head} {
		for i, x := range v {
			if !(x > 0) || math.IsInf(x, 0) {
				return nil, fmt.Errorf("%w of %q: number %d is %v: a positive, finite number is needed", ErrBadSamples, name, i+1, x)
			}
		}
	}
	d := &Difference{Schema: 1, Name: name, Base: "base", Head: "head", Complete: true,
		Notes: []string{"the samples were taken elsewhere: whether in turns, and with equal work, is not known; there is no self-check in them"},
		Audit: []Finding{{checkSamples, true, fmt.Sprintf("%d of each, all positive", len(base))}}}
	for at := 0; at+samplesInBlock <= len(base); at += samplesInBlock {
		b := DifferenceBlock{Session: 1 + at/(samplesInBlock*blocksInGroup)}
		x, y := base[at:at+samplesInBlock], head[at:at+samplesInBlock]
		ratios := make([]float64, samplesInBlock)
		for i := range ratios {
			ratios[i] = y[i] / x[i]
		}
		b.Ratio, b.BaseNS, b.HeadNS = machine.Median(ratios), machine.Median(x), machine.Median(y)
		b.Slots = map[string][]float64{d.Base: x, d.Head: y}
		d.Blocks = append(d.Blocks, b)
	}
	d.Estimate()
	return d, nil
}
