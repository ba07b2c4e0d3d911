package thresholds

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind is the kind of a change of a limit.
type Kind string

// Kinds of changes. A change that makes anything easier to hold is Loosened, even if it tightens
// something else. Dropped removes a limit; a calibration never does.
const (
	Added     Kind = "added"
	Tightened Kind = "tightened"
	Loosened  Kind = "loosened"
	Unchanged Kind = "unchanged"
	Dropped   Kind = "dropped"
)

// Change is the difference between two limits on the same thing.
type Change struct {
	Kind     Kind
	From, To Limit  // From is zero for an added limit, To for a dropped one
	Note     string // further reason for Kind, or ""
}

// Compare returns the change that a new limit would make to the file.
func (f *File) Compare(l Limit) Change {
	old := f.Find(l.Workload, l.Metric, l.Durability)
	if old == nil {
		return Change{Kind: Added, To: l}
	}
	return changeOf(*old, l)
}

// changeOf returns the change between two limits. Any bound that rises makes it Loosened.
func changeOf(old, l Limit) Change {
	rose, fell := moved(old.Counters, l.Counters)
	c := Change{Kind: Unchanged, From: old, To: l}
	switch {
	case l.Boundary() > old.Boundary() || len(rose) > 0:
		c.Kind = Loosened
	case l.Boundary() < old.Boundary() || len(fell) > 0:
		c.Kind = Tightened
	}
	return c
}

// Limit returns the new limit, or the old one if it was dropped.
func (c Change) Limit() Limit {
	if c.Kind == Dropped {
		return c.From
	}
	return c.To
}

// String formats the change as one line.
func (c Change) String() string {
	text := ""
	switch {
	case c.Limit().Metric == MetricCounts:
		switch text = strings.TrimPrefix(sayMoved(moved(c.From.Counters, c.To.Counters)), "; "); {
		case c.Kind == Added:
			text = "at most " + CountsText(*c.To.Counters, *c.To.Counters)
		case c.Kind == Dropped:
			text = "counters are no longer limited"
		case text == "":
			text = "as before"
		}
	case c.Kind == Added:
		text = fmt.Sprintf("limit %.4g (baseline %.4g, margin %.3g%%)", c.To.Limit, c.To.Baseline, 100*c.To.Margin)
	case c.Kind == Dropped:
		text = fmt.Sprintf("limit %.4g", c.From.Limit)
	default:
		text = fmt.Sprintf("limit %.4g", c.From.Limit)
		if c.From.Limit != c.To.Limit {
			text += fmt.Sprintf(" -> %.4g (%+.2f%%)", c.To.Limit, 100*(c.To.Limit/c.From.Limit-1))
		}
		if c.From.Margin != c.To.Margin {
			text += fmt.Sprintf(", margin %.3g%% -> %.3g%%", 100*c.From.Margin, 100*c.To.Margin)
		}
		text += sayMoved(moved(c.From.Counters, c.To.Counters))
	}
	if c.Note != "" {
		text += "; " + c.Note
	}
	return fmt.Sprintf("%-10s %s: %s", c.Kind, c.Limit().name(), text)
}

// ErrSilentLoosening reports that a change loosens a limit without a reason and an expiry date.
var ErrSilentLoosening = errors.New("loosening needs a reason and an expiry")

// Apply changes the limit in the file and adds an entry to the ledger. A loosening needs a reason
// and an expiry date after now, in the form YYYY-MM-DD. If an earlier loosening is still in
// effect, a reason and an expiry date extend it.
func (f *File) Apply(c Change, reason, expires string, now time.Time) error {
	extends := expires != "" && f.tolerance(&c.To) != nil
	if c.Kind == Loosened || extends {
		if _, err := time.Parse(dateForm, expires); err != nil || reason == "" {
			return fmt.Errorf("%s: %w: give --reason TEXT and --expires YYYY-MM-DD", c.To.name(), ErrSilentLoosening)
		}
		if expires <= now.UTC().Format(dateForm) {
			return fmt.Errorf("%s: the expiry %s is not after today", c.To.name(), expires)
		}
	} else {
		expires = ""
	}
	e := Entry{
		Date: now.UTC().Format(dateForm), Change: c.Kind, Workload: c.To.Workload, Metric: c.To.Metric, Durability: c.To.Durability,
		From: c.From.Limit, To: c.To.Limit, ToBoundary: c.To.Boundary(), Reason: reason, Expires: expires,
	}
	if c.Kind == Loosened {
		e.FromBoundary, e.FromCounters = c.From.Boundary(), c.From.Counters
	}
	if old := f.Find(c.To.Workload, c.To.Metric, c.To.Durability); old != nil {
		*old = c.To
	} else {
		f.Limits = append(f.Limits, c.To)
	}
	f.Ledger = append(f.Ledger, e)
	return nil
}
