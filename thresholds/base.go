package thresholds

import "slices"

// Base returns the limits that a change is judged by: every limit of the base branch unchanged,
// including those that the change removes, and the limits that the change adds. A change can
// therefore not loosen a limit that it would break. head is nil if the change removes the file.
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
