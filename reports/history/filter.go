package history

import "slices"

// Filter is an SQL condition on runs.
type Filter struct {
	Which string
	Args  []any
}

// Before returns the newest n runs that satisfy the filter, oldest first.
func (f Filter) Before(r *Reader, n int) ([]Record, error) {
	rows, err := r.Rows("WHERE "+f.Which+" ORDER BY at DESC, id DESC LIMIT ?", append(slices.Clone(f.Args), n)...)
	slices.Reverse(rows)
	return rows, err
}

// EarlierRuns is the condition for runs before a run, given by its time and ID.
const EarlierRuns = "(at, id) < (?, ?)"
