package thresholds

import "fmt"

// Diff returns the changes from base to head, in the order of base and then of the limits that
// head adds. Unchanged limits are omitted. Extending the expiry date of a loosening is also a
// loosening. head is nil if it has no limits.
func Diff(base, head *File) []Change {
	if head == nil {
		head = &File{}
	}
	var all []Change
	for i := range base.Limits {
		old := &base.Limits[i]
		l := head.Find(old.Workload, old.Metric, old.Durability)
		if l == nil {
			all = append(all, Change{Kind: Dropped, From: *old})
			continue
		}
		c := changeOf(*old, *l)
		if was := base.tolerance(l); was != nil {
			if is := head.tolerance(l); is == nil || is.Expires > was.Expires {
				until := "without an end"
				if is != nil {
					until = "until " + is.Expires
				}
				c.Kind, c.Note = Loosened, fmt.Sprintf("an earlier loosening is tolerated %s, no longer until %s", until, was.Expires)
			}
		}
		if c.Kind != Unchanged {
			all = append(all, c)
		}
	}
	for _, l := range head.Limits {
		if base.Find(l.Workload, l.Metric, l.Durability) == nil {
			all = append(all, Change{Kind: Added, To: l})
		}
	}
	return all
}
