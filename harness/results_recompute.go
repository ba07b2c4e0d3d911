package harness

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Recorded results need this much to be judged: a decision needs two sessions, an interval
// five values.
const (
	minSessions = 2
	minBlocks   = 5
)

// Faults of recorded results, in addition to [errNotPositive].
var (
	errTooFew     = errors.New("too few blocks to judge")
	errMissingArm = errors.New("an arm is missing")
	errMissing    = errors.New("samples are missing")
	errNotRaw     = errors.New("does not follow from the raw slots: the results were damaged or edited")
	errNoAudit    = errors.New("there is no audit: nothing shows that the arms did equal work")
)

// recomputed is the relative difference allowed between a figure and the same figure computed
// again: processors differ in how they round the last bits.
const recomputed = 1e-9

// Recompute computes all statistics and figures of a recorded comparison again from its slots,
// and returns a comparison with these. It returns an error if they differ from the stored ones,
// if slots are missing or not positive, or if there are too few to judge. An invalid comparison
// (see [Comparison.Valid]) may have too few.
func Recompute(c *Comparison) (*Comparison, error) {
	if c.Schema != 1 {
		return nil, &SchemaError{c.Schema, 1}
	}
	if err := c.Plan.Check(); err != nil {
		return nil, err
	}
	out := *c
	out.Blocks = make([]Block, len(c.Blocks))
	in, last := map[int]int{}, 0 // number of blocks of each session; the previous block's session
	for i, stored := range c.Blocks {
		name := fmt.Sprintf("session %d, block %d", stored.Session, in[stored.Session]+1)
		if err := c.complete(stored); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b, err := blockOf(stored.Session, stored.Slots)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, f := range []struct {
			name      string
			got, want float64
		}{{"(W-N)/F", stored.CostRatio, b.CostRatio}, {"(W-N)/N", stored.Overhead, b.Overhead}, {"W-N", stored.CostUS, b.CostUS},
			{"(T-N)/(W-N)", stored.Twin, b.Twin}, {"(S-N)/F", stored.Slow, b.Slow}, {"(S-N)/(W-N)", stored.Injected, b.Injected}, {"scripts", stored.ScriptsUS, b.ScriptsUS}} {
			if !near(f.got, f.want) {
				return nil, fmt.Errorf("%s: %s of %v, where the slots give %v: %w", name, f.name, f.got, f.want, errNotRaw)
			}
		}
		if stored.Session < max(1, last) || stored.Session > last+1 {
			return nil, fmt.Errorf("%s follows session %d: %w", name, last, errMissing)
		}
		out.Blocks[i], last = b, stored.Session
		in[stored.Session]++
	}
	if err := c.recount(&out); err != nil {
		return nil, err
	}
	if !c.Valid() {
		return &out, nil
	}
	if len(c.Audit) == 0 {
		return nil, errNoAudit
	}
	if len(c.Blocks) < minBlocks || len(in) < minSessions {
		return nil, fmt.Errorf("%d blocks of %d sessions, at least %d of %d are needed: measure again, and let it finish: %w",
			len(c.Blocks), len(in), minBlocks, minSessions, errTooFew)
	}
	for s := range len(in) {
		if in[s+1] != c.Plan.Blocks {
			return nil, fmt.Errorf("session %d has %d blocks, planned are %d: %w", s+1, in[s+1], c.Plan.Blocks, errMissing)
		}
	}
	out.estimate()
	for _, f := range []struct {
		name      string
		got, want Estimate
	}{{"(W-N)/F", c.CostRatio, out.CostRatio}, {"(W-N)/N", c.Overhead, out.Overhead}, {"W-N", c.Cost, out.Cost}, {"(S-N)/(W-N)", c.Injected, out.Injected}, {"scripts", c.Scripts, out.Scripts}} {
		if !near(f.got.Value, f.want.Value) || !near(f.got.Low, f.want.Low) || !near(f.got.High, f.want.High) || f.got.N != f.want.N {
			return nil, fmt.Errorf("the figure of %s is %v, where the blocks give %v: %w", f.name, f.got, f.want, errNotRaw)
		}
	}
	return &out, nil
}

// recount computes the counters of out again from those of every session. Files of older
// versions do not have these.
func (c *Comparison) recount(out *Comparison) error {
	if c.Counted == nil {
		return nil
	}
	out.Counters, out.Most, out.Counted = nil, nil, nil
	for _, counters := range c.Counted {
		out.count(counters)
	}
	if !maps.Equal(out.Counters, c.Counters) || !maps.Equal(out.Most, c.Most) {
		return fmt.Errorf("the counters are %v to %v, where those of the sessions give %v to %v: %w", c.Counters, c.Most, out.Counters, out.Most, errNotRaw)
	}
	return nil
}

// complete returns an error that names the first missing or impossible slot of a block.
func (c *Comparison) complete(b Block) error {
	for _, arm := range costArms {
		if len(b.Slots[arm]) == 0 {
			return fmt.Errorf("arm %s has no slots: %w", arm, errMissingArm)
		}
	}
	for arm, slots := range b.Slots {
		if len(slots) != c.Plan.Rounds {
			return fmt.Errorf("arm %s has %d slots, planned are %d: %w", arm, len(slots), c.Plan.Rounds, errMissing)
		}
		if i := slices.IndexFunc(slots, func(v float64) bool { return !(v > 0) || math.IsInf(v, 0) }); i >= 0 {
			return fmt.Errorf("round %d: the slot of arm %s is %v ns: %w", i+1, arm, slots[i], errNotPositive)
		}
	}
	return nil
}

// near reports whether two figures are equal but for rounding. It is false for NaN.
func near(got, want float64) bool {
	return got == want || math.Abs(got-want) <= recomputed*math.Abs(want)
}
