package history

import "slices"

// Filter is an SQL condition on the columns of tables runs and origins.
type Filter struct {
	Which string // with a ? for each of Args
	Args  []any
}

// Before returns the newest n runs that satisfy the filter, oldest first. The filter selects the
// runs before another one by [EarlierRuns].
func (f Filter) Before(r *Reader, n int) ([]Record, error) {
	rows, err := r.Rows("WHERE "+f.Which+" ORDER BY at DESC, id DESC LIMIT ?", append(slices.Clone(f.Args), n)...)
	slices.Reverse(rows)
	return rows, err
}

// EarlierRuns is the condition for runs before the run whose At and ID are the arguments.
const EarlierRuns = "(at, id) < (?, ?)"
