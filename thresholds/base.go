package thresholds

import "slices"

// Base is what a change is judged by: every limit of the base branch as it is
// there, those that the change drops included, and of the change only the limits
// that it adds. So nobody makes a limit easier to hold in the change that would
// break it. head is nil where the change drops them all.
func Base(base, head *File) *File {
	if head == nil {
		return base
	}
	f := *base
	f.Limits, f.Ledger = slices.Clone(base.Limits), slices.Clone(base.Ledger)
	for _, l := range head.Limits {
		if base.Find(l.Workload, l.Metric, l.Durability) != nil {
			continue
		}
		f.Limits = append(f.Limits, l)
		for _, e := range head.Ledger {
			if e.of(&l) {
				f.Ledger = append(f.Ledger, e)
			}
		}
	}
	return &f
}
