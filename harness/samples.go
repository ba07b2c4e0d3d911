package harness

import (
	"errors"
	"fmt"
	"math"

	"github.com/flujo/flujo-harness/harness/machine"
)

// ErrBadSamples are samples that cannot be compared.
var ErrBadSamples = errors.New("bad samples")

const (
	samplesInBlock = 5
	blocksInGroup  = 5
	leastSamples   = 2 * blocksInGroup * samplesInBlock // two groups: the least that can be judged
)

// FromSamples makes a difference of samples that somebody else took: durations of an
// operation, in ns, of two variants. They are paired by their place, so they should
// have been taken in turns; 50 of each are the least that can be judged. There is no
// A/A pair and no injected slow-down in them, and the result says so. Errors wrap
// [ErrBadSamples].
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
