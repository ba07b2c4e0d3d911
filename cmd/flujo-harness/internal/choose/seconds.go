package choose

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/reports/history"
)

// timedRuns is how many runs before are asked how long a package takes. Of each package the newest
// ones count, at most medianOf.
const (
	timedRuns = 50
	medianOf  = 5
)

// Seconds is how long the suites of packages took, in runs that began before a time: the median of
// the newest five of each. The time is that of the commit, so that all parts of one pipeline read
// the same runs. Keys are the paths of suites.
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
