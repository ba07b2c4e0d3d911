package history

import "slices"

// Filter is a condition on runs.
type Filter struct {
	Which string
	Args  []any
}

// Before are the newest n runs that the filter takes, oldest first.
func (f Filter) Before(r *Reader, n int) ([]Record, error) {
	rows, err := r.Rows("WHERE "+f.Which+" ORDER BY at DESC, id DESC LIMIT ?", append(slices.Clone(f.Args), n)...)
	slices.Reverse(rows)
	return rows, err
}

// EarlierRuns are those before a place in time.
const EarlierRuns = "(at, id) < (?, ?)"
