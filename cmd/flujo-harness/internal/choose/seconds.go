package choose

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/reports/history"
)

// timedRuns is the number of earlier runs that are read for durations. For each package, the
// newest medianOf of them count.
const (
	timedRuns = 50
	medianOf  = 5
)

// Seconds returns how long the suites took, by their paths: the median of the newest five
// durations in runs that began before a time. Callers pass the time of the commit, so that all
// shards of a pipeline read the same runs.
func Seconds(ctx context.Context, h *history.History, before time.Time) (map[string]float64, error) {
	took := map[string][]float64{}
	err := h.Read(ctx, func(r *history.Reader) error {
		rows, err := r.Rows("WHERE has_suites AND complete AND at < ? ORDER BY at DESC, id DESC LIMIT ?", before.UnixNano(), timedRuns)
		if err != nil {
			return err
		}
		for i := range rows {
			of, err := r.Outline(rows[i].ID)
			if err != nil {
				return fmt.Errorf("run %d: %w", rows[i].ID, err)
			}
			for _, s := range of.Suites {
				if len(took[s.Path]) < medianOf && s.Duration > 0 && len(s.Failures) == 0 {
					took[s.Path] = append(took[s.Path], s.Duration.Seconds())
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	seconds := map[string]float64{}
	for path, all := range took {
		slices.Sort(all)
		seconds[path] = all[len(all)/2]
	}
	return seconds, nil
}
