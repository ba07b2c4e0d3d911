package records

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Command returns the history command.
func Command() *cobra.Command {
	var db string
	var limit int
	var shared StoreFlags
	cmd := &cobra.Command{
		Use: "history", Args: cobra.NoArgs,
		Short: "List the recorded runs; prune and back up their database",
		Example: `  flujo-harness history
  flujo-harness history sync --store git:origin`,
		Long: `Lists the runs of the history, newest first, with the number of specs that passed, failed
and did not run, and the pass rate of those that ran. For a run that measured or compared and ran
no tests, it says what: "5 benchmarks compared".`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return cli.Usage(fmt.Errorf("--limit %d: list at least one run", limit))
			}
			p, err := project.Find()
			if err != nil {
				return cli.Fault(err)
			}
			h, store, err := shared.OpenShared(cmd.Context(), p, p.History(db))
			if err != nil {
				return err
			}
			defer h.Close()
			defer store.Close()
			store.Print(cmd.ErrOrStderr())
			lines, older, err := h.Lines(cmd.Context(), limit)
			if err != nil {
				return cli.Fault(err)
			}
			rows := []string{"RUN\tSTARTED\tBRANCH\tCOMMIT\tOUTCOME\tPASS\tFAIL\tSKIP\tRATE"}
			var damaged error // a run that cannot be read does not hide the others
			for _, l := range lines {
				measured, err := measuredBy(cmd.Context(), h, l)
				if err != nil {
					measured, damaged = "not readable", errors.Join(damaged, fmt.Errorf("run %d: %w", l.ID, err))
				}
				rows = append(rows, historyRow(l, measured))
			}
			width := 0
			if cli.Terminal(cmd.OutOrStdout()) != nil {
				width = max(80, cli.NewScreen(cmd.OutOrStdout()).Width)
			}
			if err := writeHistory(cmd.OutOrStdout(), rows, width); err != nil {
				return cli.Fault(err)
			}
			if older > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "%s not listed: raise --limit\n", cli.Plural(int64(older), "older run"))
			}
			if damaged != nil {
				return cli.Fault(damaged)
			}
			return nil
		},
	}
	cmd.PersistentFlags().StringVar(&db, "db", "", "history database (default .flujo/history.db of the module)")
	cmd.Flags().IntVar(&limit, "limit", 20, "maximum number of runs to list")
	shared.Register(cmd)
	cmd.AddCommand(pruneCommand(&db), backupCommand(&db), historyMergeCommand(&db), historySyncCommand(&db), historyCompactCommand())
	return cmd
}

// writeHistory writes rows of tab-separated cells as a table of at most width columns, or of any width
// if it is 0, as in a pipe: long names of branches are shortened in the middle, to 6 columns at least.
func writeHistory(to io.Writer, rows []string, width int) error {
	const branch = 2 // index of the column
	table := func(most int) (string, int, error) {
		var out strings.Builder
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		for _, row := range rows {
			cells := strings.Split(row, "\t")
			if name := []rune(cells[branch]); most > 0 && len(name) > most {
				cells[branch] = string(name[:(most-1)/2]) + "…" + string(name[len(name)-most/2:])
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
		err := w.Flush()
		widest := 0
		for line := range strings.Lines(out.String()) {
			widest = max(widest, utf8.RuneCountInString(line)-1)
		}
		return out.String(), widest, err
	}
	text, widest, err := table(0)
	if over := widest - width; width > 0 && over > 0 && err == nil {
		longest := 0
		for _, row := range rows {
			longest = max(longest, utf8.RuneCountInString(strings.Split(row, "\t")[branch]))
		}
		text, _, err = table(max(6, longest-over))
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(to, text)
	return err
}

// measuredBy returns what a run measured, such as "5 benchmarks compared", or "" if it ran tests.
func measuredBy(ctx context.Context, h *history.History, l history.RunLine) (string, error) {
	if !l.Measured {
		return "", nil
	}
	run, err := h.Load(ctx, l.ID)
	if err != nil {
		return "", err
	}
	what, how := run.Measured()
	return what + " " + how, nil
}

// historyRow returns the tab-separated cells of a run. measured is the result of measuredBy.
func historyRow(l history.RunLine, measured string) string {
	cells := []string{fmt.Sprint(l.ID), "unknown", l.Branch, l.Commit[:min(len(l.Commit), 8)], l.Outcome.String(), cmp.Or(measured, "no results")}
	if !l.Started.IsZero() {
		cells[1] = l.Started.UTC().Format("2006-01-02 15:04")
	}
	if l.Dirty {
		cells[3] += "+"
	}
	if !l.Complete {
		cells[4] += ", interrupted"
	}
	if c := l.Counts; l.Rated {
		rate := "none ran"
		if r := c.PassRate(); r.Of > 0 {
			rate = r.Percent()
		}
		cells = append(cells[:5], rate)
		for i, n := range []int{c.Passed, c.Failed, c.Skipped + c.Pending} { // as wide as their heads: a row of text begins new columns below it
			cells = slices.Insert(cells, 5+i, fmt.Sprintf("%-4d", n))
		}
	}
	for i := range cells {
		cells[i] = reports.Visible(cells[i])
	}
	return strings.Join(cells, "\t")
}

func pruneCommand(db *string) *cobra.Command {
	var keep int
	var olderThan string
	cmd := &cobra.Command{
		Use: "prune", Args: cobra.NoArgs,
		Short:   "Remove old runs from the history",
		Example: `  flujo-harness history prune --keep 200`,
		Long: `Removes all runs except the newest --keep, or those that started longer ago than
--older-than ("90d", "36h"); with both flags, runs that either flag keeps remain. The newest
run always remains, and of each branch the newest complete run, and the newest complete run of
tests. Names and messages that no remaining run uses are removed too, and the file shrinks.
Removed runs cannot be restored: run flujo-harness history backup FILE first.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r history.Retention
			if cmd.Flags().Changed("keep") {
				if keep < 1 {
					return cli.Usage(fmt.Errorf("--keep %d: use 1 or more", keep))
				}
				r.Newest = keep
			}
			if olderThan != "" {
				age, err := parseAge(olderThan)
				if err != nil {
					return cli.Usage(err)
				}
				r.Since = time.Now().Add(-age)
			}
			if r == (history.Retention{}) {
				return cli.Usage(errors.New("history prune: use --keep N or --older-than AGE"))
			}
			return withHistory(cmd.Context(), *db, func(h *history.History) error {
				p, err := h.Prune(cmd.Context(), r)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "removed %s, kept %d; file size %.1f MB, previously %.1f MB\n", cli.Plural(int64(p.Removed), "run"), p.Left, float64(p.After)/1e6, float64(p.Before)/1e6)
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&keep, "keep", 0, "number of newest runs to keep")
	cmd.Flags().StringVar(&olderThan, "older-than", "", `remove runs that started longer ago: "90d", "36h"`)
	return cmd
}

// parseAge parses a duration, which may also be in days ("90d").
func parseAge(s string) (time.Duration, error) {
	age, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		age = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || age <= 0 || age > 100*365*24*time.Hour {
		return 0, fmt.Errorf("--older-than %q: use days or hours, such as 90d or 36h", s)
	}
	return age, nil
}

func backupCommand(db *string) *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Args: cobra.ExactArgs(1),
		Short:   "Copy the history to a new file, while it is in use",
		Example: `  flujo-harness history backup history-2026-11.db`,
		Long: `Writes a copy of the history to FILE, completely or not at all, and checks it. Do not copy the
database with file tools: its latest changes may be in a separate -wal file. FILE must not
exist.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withHistory(cmd.Context(), *db, func(h *history.History) error {
				n, err := h.Backup(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "copied %s to %s\n", cli.Plural(int64(n), "run"), reports.Visible(args[0]))
				return nil
			})
		},
	}
}

// withHistory calls do with an existing history.
func withHistory(ctx context.Context, db string, do func(*history.History) error) error {
	p, err := project.Find()
	if err != nil {
		return cli.Fault(err)
	}
	h, err := OpenRecorded(ctx, p.History(db))
	if err != nil {
		return cli.Fault(err)
	}
	defer h.Close()
	if err := do(h); err != nil {
		return cli.Fault(err)
	}
	return nil
}

// OpenRecorded opens an existing history. It does not create one, so that a mistyped name is an
// error.
func OpenRecorded(ctx context.Context, path string) (*history.History, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no history at %s: create one with flujo-harness run or flujo-harness ingest, or name another with --db", workdir.ShortPath(path))
	}
	return history.OpenRecorded(ctx, path)
}
