package reports

import "slices"

// runFilter is a condition on runs.
type runFilter struct {
	which string
	args  []any
}

// before are the newest n runs that the filter takes, oldest first.
func (f runFilter) before(r *reader, n int) ([]runRecord, error) {
	rows, err := r.rows("WHERE "+f.which+" ORDER BY at DESC, id DESC LIMIT ?", append(slices.Clone(f.args), n)...)
	slices.Reverse(rows)
	return rows, err
}

// earlierRuns are those before a place in time.
const earlierRuns = "(at, id) < (?, ?)"
