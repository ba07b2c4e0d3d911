package thresholds

import (
	"errors"
	"fmt"
	"time"
)

// Kind of a change of a limit.
type Kind string

// The kinds. Only Loosened makes anything easier to hold; Dropped does so too and
// is never written by a calibration.
const (
	Added     Kind = "added"
	Tightened Kind = "tightened"
	Loosened  Kind = "loosened"
	Unchanged Kind = "unchanged"
)

// Change is the difference that a new limit makes.
type Change struct {
	Kind     Kind
	From, To Limit // From is zero where the limit is added
}

// Compare says what a new limit would change in the file.
func (f *File) Compare(l Limit) Change {
	old := f.Find(l.Workload, l.Metric, l.Durability)
	switch {
	case old == nil:
		return Change{Kind: Added, To: l}
	case l.Boundary() > old.Boundary():
		return Change{Loosened, *old, l}
	case l.Boundary() < old.Boundary():
		return Change{Tightened, *old, l}
	}
	return Change{Unchanged, *old, l}
}

// String is one line of the diff.
func (c Change) String() string {
	switch c.Kind {
	case Added:
		return fmt.Sprintf("added      %s: limit %.4g (baseline %.4g, margin %.3g%%)", c.To.name(), c.To.Limit, c.To.Baseline, 100*c.To.Margin)
	case Unchanged:
		return fmt.Sprintf("unchanged  %s: limit %.4g", c.To.name(), c.To.Limit)
	}
	return fmt.Sprintf("%-10s %s: limit %.4g -> %.4g (%+.2f%%)", c.Kind, c.To.name(), c.From.Limit, c.To.Limit, 100*(c.To.Limit/c.From.Limit-1))
}

// ErrSilentLoosening: a limit would become easier to hold without a reason and an expiry.
var ErrSilentLoosening = errors.New("loosening needs a reason and an expiry")

// Apply puts the changed limit into the file and its entry into the ledger. A
// loosening needs a reason and an expiry after now, as YYYY-MM-DD.
func (f *File) Apply(c Change, reason, expires string, now time.Time) error {
	if c.Kind == Loosened {
		if _, err := time.Parse(dateForm, expires); err != nil || reason == "" {
			return fmt.Errorf("%s: %w: give --reason TEXT and --expires YYYY-MM-DD", c.To.name(), ErrSilentLoosening)
		}
		if expires <= now.UTC().Format(dateForm) {
			return fmt.Errorf("%s: the expiry %s is not after today", c.To.name(), expires)
		}
	} else {
		expires = ""
	}
	if old := f.Find(c.To.Workload, c.To.Metric, c.To.Durability); old != nil {
		*old = c.To
	} else {
		f.Limits = append(f.Limits, c.To)
	}
	f.Ledger = append(f.Ledger, Entry{
		Date: now.UTC().Format(dateForm), Change: c.Kind, Workload: c.To.Workload, Metric: c.To.Metric, Durability: c.To.Durability,
		From: c.From.Limit, To: c.To.Limit, Reason: reason, Expires: expires,
	})
	return nil
}
