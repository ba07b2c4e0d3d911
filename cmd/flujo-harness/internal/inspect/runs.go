package inspect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/backends"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/render"
)

// aboutStore is part of the help of every command that reads a database of runs.
const aboutStore = backends.About + `

Exit codes: 0 shown; 2 usage, or no such run; 3 the database is missing, damaged, of a
newer version or of another program.`

// storeFlags are the flags that select a database of runs and a tenant.
type storeFlags struct {
	cmd        *cobra.Command
	db, tenant string
}

func (f *storeFlags) register(cmd *cobra.Command) {
	f.cmd = cmd
	cmd.Flags().StringVar(&f.db, "db", "", "database of the runs: a file, or postgres://… (default .flujo/runs.db of the module)")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", `tenant of the run; "" is the unnamed tenant (default any)`)
}

// store is an open database of runs.
type store struct {
	backends.Reader
	path   string  // file or address, for messages
	tenant *string // nil means any
}

func (f *storeFlags) open() (*store, error) {
	p, err := project.Find()
	if err != nil {
		return nil, cli.Fault(err)
	}
	s := &store{}
	if f.cmd.Flags().Changed("tenant") {
		s.tenant = &f.tenant
	}
	s.Reader, s.path, err = backends.OpenReader(f.cmd.Context(), p, f.db)
	return s, shown(err)
}

// load loads the run with the given name. If several tenants have one, the error lists them.
func (s *store) load(ctx context.Context, id string) (core.Snapshot, error) {
	found, err := s.List(ctx, core.Filter{Tenant: s.tenant, Run: id})
	if err != nil {
		return core.Snapshot{}, shown(err)
	}
	switch len(found) {
	case 1:
		snap, err := s.Load(ctx, found[0].Key)
		return snap, shown(err)
	case 0:
		return core.Snapshot{}, cli.Usage(fmt.Errorf(`no run %q in %s: "flujo-harness runs" lists the runs`, id, s.path))
	}
	text := fmt.Sprintf("%d runs have the name %q: choose one:", len(found), id)
	for _, r := range found {
		text += fmt.Sprintf("\n  --tenant %q %q  (%s, %s)", r.Key.Tenant, r.Key.Run, r.Status, r.Started.Format(time.RFC3339))
	}
	return core.Snapshot{}, cli.Usage(errors.New(text))
}

// RunsCommand returns the runs command.
func RunsCommand() *cobra.Command {
	var flags storeFlags
	var chosen runFlags
	var limit int
	var asJSON, waiting bool
	cmd := &cobra.Command{
		Use: "runs", Args: cobra.NoArgs,
		Short: "List the saved runs of an engine, newest first",
		Example: `  flujo-harness runs --db runs.db --waiting
  flujo-harness runs --db postgres://host/runs --status failed`,
		Long: `Lists the runs in a database of the engine, newest first. For a run that has not ended, the
duration extends to its latest save and is followed by "…". A run is running while a live
executor holds it, cut off when that executor has died or released it, and pending before
an executor has claimed it. --waiting lists open questions instead, oldest first.

` + aboutStore + `

--json prints {"version": 1, "database", "runs": [...], "more": whether the limit omitted
runs, "next": value for --after}. A run is {"tenant", "run", "pipeline", "status",
"error", "epoch", "executor", "forked_from", "waiting" (number of questions), "started",
"ended" (absent while running), "took_ns", "steps", "attempts", "calls", "tokens", "cost"
(in millionths)}. With --waiting, "waiting" replaces "runs": {"tenant", "run", "pipeline",
"path", "token", "prompt", "for", "asked", "due"}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := chosen.filter(time.Now())
			switch {
			case err != nil:
				return cli.Usage(err)
			case limit < 0:
				return cli.Usage(fmt.Errorf("--limit %d: use 0 for all runs, or more", limit))
			}
			s, err := flags.open()
			if err != nil {
				return err
			}
			defer s.Close()
			filter.Tenant = s.tenant
			if limit > 0 {
				filter.Limit = limit + 1 // one more shows whether there are more
			}
			if waiting {
				return showWaiting(cmd.Context(), cmd.OutOrStdout(), s, filter, limit, asJSON)
			}
			runs, err := s.List(cmd.Context(), filter)
			if err != nil {
				return shown(err)
			}
			more := limit > 0 && len(runs) > limit
			if more {
				runs = runs[:limit]
			}
			if asJSON {
				list := make([]runJSON, len(runs))
				for i, r := range runs {
					list[i] = newRunJSON(r)
				}
				return cli.PrintJSON(cmd.OutOrStdout(), struct {
					Version  int       `json:"version"`
					Database string    `json:"database"`
					Runs     []runJSON `json:"runs"`
					More     bool      `json:"more"`
					Next     string    `json:"next,omitempty"`
				}{1, s.path, list, more, nextPage(runs, more)})
			}
			text := runsTable(cli.NewScreen(cmd.OutOrStdout()), runs)
			switch {
			case len(runs) == 0:
				text = fmt.Sprintf("no matching runs in %s\n", s.path)
			case more:
				text += fmt.Sprintf("… and older runs: continue with --after %s, or list all with --limit 0\n", nextPage(runs, more))
			}
			return cli.Print(cmd.OutOrStdout(), text)
		},
	}
	flags.register(cmd)
	chosen.register(cmd)
	cmd.Flags().BoolVar(&waiting, "waiting", false, "list the questions that wait for an answer")
	cmd.Flags().IntVar(&limit, "limit", 20, "maximum number of runs to list; 0 lists all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// runJSON is a run in the output of --json.
type runJSON struct {
	Tenant   string    `json:"tenant"`
	Run      string    `json:"run"`
	Pipeline string    `json:"pipeline"`
	Status   string    `json:"status"`
	Error    string    `json:"error,omitempty"`
	Epoch    int64     `json:"epoch"`
	Executor string    `json:"executor,omitempty"`
	Forked   string    `json:"forked_from,omitempty"`
	Waiting  int64     `json:"waiting,omitempty"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
	Took     int64     `json:"took_ns"`
	Steps    int64     `json:"steps"`
	Attempts int64     `json:"attempts"`
	Calls    int64     `json:"calls"`
	Tokens   int64     `json:"tokens"`
	Cost     int64     `json:"cost"`
}

func newRunJSON(r core.RunInfo) runJSON {
	forked := ""
	if r.Origin.Key.Run != "" {
		forked = r.Origin.Key.String()
	}
	return runJSON{r.Key.Tenant, r.Key.Run, r.Pipeline, r.State(time.Now()), r.Error, r.Epoch, r.Holder.Executor, forked, r.Open, r.Started, r.Ended, int64(r.Took()),
		r.Usage.Steps, r.Attempts, r.Usage.Calls, r.Usage.Tokens, r.Usage.Cost}
}

func statusColour(s core.Status) ansi.Style {
	return map[core.Status]ansi.Style{core.Running: cli.Cyan, core.Completed: cli.Green, core.Failed: cli.Red, core.Paused: cli.Yellow, core.Stopped: cli.Yellow, core.Cancelled: cli.Dim}[s]
}

// runsTable formats one line per run, followed by a line for its error and, on a narrow screen,
// one for its counts.
func runsTable(s render.Screen, runs []core.RunInfo) string {
	const status, took, counts = 2, 4, 5 // columns
	rows := [][]string{{"RUN", "PIPELINE", "STATUS", "STARTED", "TOOK", "STEPS", "ATTEMPTS", "TOKENS", "COST"}}
	columns := len(rows[0]) - 2
	for _, r := range runs {
		so := cli.Brief(r.Took())
		if r.Ended.IsZero() {
			so += "…"
		}
		if spent(r.Usage) != "" {
			columns = len(rows[0])
		}
		rows = append(rows, []string{reports.Visible(r.Key.String()), reports.Visible(r.Pipeline), r.State(time.Now()), r.Started.Format(time.RFC3339), so,
			cli.Grouped(r.Usage.Steps), cli.Grouped(r.Attempts), cli.Grouped(r.Usage.Tokens), cli.Money(r.Usage.Cost)})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	over := func() (n int) { // columns by which a line exceeds the screen
		for _, w := range widths[:columns] {
			n += w + 2
		}
		return n - 2 - s.Width
	}
	narrow := s.Width > 0 && over() > 0
	if narrow {
		columns = counts
		for i, least := range []int{16, 8} { // shortens names, but keeps them distinguishable
			widths[i] = max(widths[i]-max(over(), 0), min(widths[i], least))
		}
	}
	var b strings.Builder
	for i, row := range rows {
		line := ""
		for c, cell := range row[:columns] {
			cell = cli.Cut(cell, widths[c])
			space := strings.Repeat(" ", widths[c]-utf8.RuneCountInString(cell))
			switch {
			case i == 0:
				cell = s.Paint(cli.Bold, cell)
			case c == status:
				cell = s.Paint(statusColour(runs[i-1].Status), cell)
			}
			if c >= took { // right-aligns numbers
				cell, space = space+cell, ""
			}
			line += cell + space + "  "
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if i > 0 && narrow {
			b.WriteString("    " + s.Paint(cli.Dim, cli.Cut(used(runs[i-1]), s.Width-4)) + "\n")
		}
		if i > 0 && runs[i-1].Error != "" {
			b.WriteString("    " + s.Paint(cli.Red, cli.Cut(cli.Cut(reports.Visible(runs[i-1].Error), 160), s.Width-4)) + "\n")
		}
	}
	return b.String()
}

// used formats usage, such as "9 steps, 11 attempts, 4,200 tokens, cost 0.0123".
func used(r core.RunInfo) string {
	return cli.Plural(r.Usage.Steps, "step") + ", " + cli.Plural(r.Attempts, "attempt") + spent(r.Usage)
}

// spent formats tokens and cost, such as ", 4,200 tokens, cost 0.0123", or "" for none.
func spent(u core.Usage) (text string) {
	if u.Tokens != 0 {
		text += ", " + cli.Plural(u.Tokens, "token")
	}
	if u.Cost != 0 {
		text += ", cost " + cli.Money(u.Cost)
	}
	return text
}

// shown returns err as a harness fault, with control characters escaped: its text may contain
// names from a database.
func shown(err error) error {
	if err == nil {
		return nil
	}
	return cli.Fault(errors.New(reports.Visible(err.Error())))
}
