package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/reports"
)

// runFlags are the flags that select runs.
type runFlags struct{ status, pipeline, since, before, after string }

func (f *runFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.status, "status", "", "only runs with this status: running, cut-off, completed, failed, cancelled, paused or stopped")
	cmd.Flags().StringVar(&f.pipeline, "pipeline", "", "only runs of this pipeline")
	cmd.Flags().StringVar(&f.since, "since", "", "only runs started at or after a time (2026-03-01T12:00:00Z), a day, or a duration ago (36h)")
	cmd.Flags().StringVar(&f.before, "before", "", "only runs started before a time, in the notation of --since")
	cmd.Flags().StringVar(&f.after, "after", "", "continue the list after the previous page, with the value that it printed")
}

// filter converts the flags; durations are relative to now.
func (f *runFlags) filter(now time.Time) (c core.Filter, err error) {
	c = core.Filter{Pipeline: f.pipeline, Now: now}
	switch f.status {
	case "":
	case "running":
		c.Live = true
	case "cut-off", "cut off":
		c.CutOff = true
	default:
		for _, s := range []core.Status{core.Completed, core.Failed, core.Cancelled, core.Paused, core.Stopped} {
			if s.String() == f.status {
				c.Status = s
			}
		}
		if c.Status == 0 {
			return c, fmt.Errorf("--status %q: use running, cut-off, completed, failed, cancelled, paused or stopped", f.status)
		}
	}
	if c.Since, err = moment("--since", f.since, now); err != nil {
		return c, err
	}
	if c.Before, err = moment("--before", f.before, now); err != nil {
		return c, err
	}
	if f.after != "" {
		began, id, _ := strings.Cut(f.after, "-")
		nanos, err1 := strconv.ParseInt(began, 10, 64)
		number, err2 := strconv.ParseInt(id, 10, 64)
		if err1 != nil || err2 != nil {
			return c, fmt.Errorf("--after %q: use the value printed at the end of the previous page", f.after)
		}
		c.After = &core.RunInfo{ID: number, Started: time.Unix(0, nanos).UTC()}
	}
	return c, nil
}

// moment parses a time, a day, or a duration before now.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("%s %q: use a time such as 2026-03-01T12:00:00Z, a day, or a duration ago such as 36h", flag, text)
	}
	return now.Add(-ago), nil
}

// nextPage returns the value of --after for the page that follows runs, or "" for the last page.
func nextPage(runs []core.RunInfo, more bool) string {
	if !more {
		return ""
	}
	last := runs[len(runs)-1]
	return fmt.Sprintf("%d-%d", last.Started.UnixNano(), last.ID)
}

// questionJSON is an open question in the output of --json.
type questionJSON struct {
	Tenant   string          `json:"tenant"`
	Run      string          `json:"run"`
	Pipeline string          `json:"pipeline"`
	Path     string          `json:"path"`
	Token    string          `json:"token"`
	Prompt   json.RawMessage `json:"prompt,omitempty"`
	For      string          `json:"for,omitempty"`
	Asked    time.Time       `json:"asked"`
	Due      time.Time       `json:"due,omitzero"`
}

// showWaiting prints the open questions of the chosen runs.
func showWaiting(ctx context.Context, out io.Writer, s *store, f core.Filter, limit int, asJSON bool) error {
	questions, err := s.Questions(ctx, f)
	if err != nil {
		return shown(err)
	}
	more := limit > 0 && len(questions) > limit
	if more {
		questions = questions[:limit]
	}
	list := make([]questionJSON, len(questions))
	var text strings.Builder
	for i, q := range questions {
		list[i] = questionJSON{q.Key.Tenant, q.Key.Run, q.Pipeline, q.Path, q.Token, q.Prompt, q.For, q.Asked, q.Due}
		fmt.Fprintf(&text, "%s  %s  waits %s", reports.Visible(q.Key.String()), reports.Visible(q.Path), cli.Brief(f.Now.Sub(q.Asked)))
		if q.For != "" {
			fmt.Fprintf(&text, " for %s", reports.Visible(q.For))
		}
		if !q.Due.IsZero() {
			fmt.Fprintf(&text, ", until %s", q.Due.Format(time.RFC3339))
		}
		var prompt string
		if len(q.Prompt) > 0 && json.Unmarshal(q.Prompt, &prompt) == nil {
			fmt.Fprintf(&text, "\n    %s", cli.Cut(reports.Visible(prompt), 160))
		}
		fmt.Fprintf(&text, "\n    token %s\n", reports.Visible(q.Token))
	}
	if asJSON {
		return cli.PrintJSON(out, struct {
			Version  int            `json:"version"`
			Database string         `json:"database"`
			Waiting  []questionJSON `json:"waiting"`
			More     bool           `json:"more"`
		}{1, s.path, list, more})
	}
	switch {
	case len(questions) == 0:
		fmt.Fprintf(&text, "no open questions in %s\n", s.path)
	case more:
		text.WriteString("… and newer questions: --limit 0 lists all\n")
	}
	return cli.Print(out, text.String())
}
