package history

import (
	"context"
	"fmt"

	"github.com/flujo/flujo-harness/reports"
)

// Each calls f with every run, in the order of their IDs.
func (h *History) Each(ctx context.Context, f func(reports.Run) error) error {
	return h.Read(ctx, func(r *Reader) error {
		rows, err := r.Rows("ORDER BY id")
		if err != nil {
			return err
		}
		for i := range rows {
			run, err := r.Whole(rows[i])
			if err != nil {
				return fmt.Errorf("run %d: %w", rows[i].ID, err)
			}
			if err := f(run); err != nil {
				return err
			}
		}
		return nil
	})
}

// Merge appends the runs of another history that this one lacks. Runs are compared by digest, so
// Merge may be repeated and the order does not matter. Runs get new IDs. After an error, the runs
// appended before it remain.
func (h *History) Merge(ctx context.Context, other *History) (taken, known int, err error) {
	err = other.Each(ctx, func(r reports.Run) error {
		if err := reports.CheckCommit(r.Commit); err != nil {
			return fmt.Errorf("run %d of %s: %w", r.ID, other.path, err)
		}
		added, err := h.Append(ctx, r)
		switch {
		case err != nil:
			return err
		case added.Known:
			known++
		default:
			taken++
		}
		return nil
	})
	return taken, known, err
}
