package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/quarantine"
)

func quarantineCommand() *cobra.Command {
	var db string
	cmd := &cobra.Command{
		Use:   "quarantine",
		Short: "Manage the specs whose failures do not fail a run",
		Example: `  flujo-harness quarantine add 'shop > TestTotal' --owner anna --reason 'needs a stable clock' --until 2027-01-31
  flujo-harness quarantine list`,
		Long: `Quarantined specs are listed in thresholds/quarantine.toml of the module, which is reviewed like any
other file. A quarantined spec still runs, counts as failed and is shown; its failure breaks neither
run nor gate. Each entry has an owner, a reason and a last day, at most 90 days after it was added.
After that day the entry has no effect, and the gate breaks until it is removed or renewed. The file
can have at most 20 specs, or as many as its "max" says.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&db, "db", "", "history database, for the rates of the specs (default .flujo/history.db of the module)")
	cmd.AddCommand(quarantineAddCommand(&db), quarantineListCommand(&db), quarantineExpireCommand())
	return cmd
}

func quarantineAddCommand(db *string) *cobra.Command {
	var owner, reason, until, suite string
	cmd := &cobra.Command{
		Use: "add SPEC", Args: cobra.ExactArgs(1),
		Example: `  flujo-harness quarantine add 'shop > TestTotal' --owner anna --reason 'needs a stable clock'`,
		Short:   "Put a recorded spec into quarantine, or renew its entry",
		Long: `SPEC is the text of a spec as reports show it, without its suite, or a part of it that only
one spec of the newest run of tests has.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, ledger, err := openLedger()
			if err != nil {
				return err
			}
			a, err := newestAnalysis(cmd, p, *db, ledger)
			if err != nil {
				return err
			}
			s, err := specNamed(a, suite, args[0])
			if err != nil {
				return cli.Usage(err)
			}
			name, text, _ := strings.Cut(string(s.AppendName(nil)), "\n")
			today := time.Now().UTC()
			if until == "" {
				until = today.AddDate(0, 0, 30).Format(time.DateOnly)
			}
			e := quarantine.Entry{Suite: name, Spec: text, Owner: owner, Reason: reason, Added: today.Format(time.DateOnly), Expires: until}
			if e.Expired(today) {
				return cli.Usage(fmt.Errorf("--until %s: the day is over", until))
			}
			if err := ledger.Add(e); err != nil {
				return cli.Usage(err)
			}
			if err := ledger.Write(); err != nil {
				return cli.Fault(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: in quarantine until %s; commit %s\n", reports.Visible(s.Name()), until, workdir.ShortPath(ledger.Path))
			return nil
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "who mends it (required)")
	cmd.Flags().StringVar(&reason, "reason", "", "why its failures should be ignored (required)")
	cmd.Flags().StringVar(&until, "until", "", "last day of the entry, such as 2026-12-28 (default 30 days from now)")
	cmd.Flags().StringVar(&suite, "suite", "", "suite of the spec, if several suites have a spec of this name")
	return cmd
}

func quarantineListCommand(db *string) *cobra.Command {
	return &cobra.Command{
		Use: "list", Args: cobra.NoArgs,
		Example: `  flujo-harness quarantine list`,
		Short:   "List the entries with the rates of their specs, and whether they can be released",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, ledger, err := openLedger()
			if err != nil {
				return err
			}
			if len(ledger.Entries) == 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "nothing is in quarantine: %s has no entry\n", workdir.ShortPath(ledger.Path))
				return nil
			}
			a, err := newestAnalysis(cmd, p, *db, ledger)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "SPEC\tOWNER\tUNTIL\tFAILED\tREASON\tMAY COME OUT")
			now := time.Now()
			for i, q := range a.Quarantine {
				e := &ledger.Entries[i]
				until := e.Expires
				if e.Expired(now) {
					until += ", expired"
				}
				_, out := quarantine.Release(q.Passes)
				row := []string{e.Suite + " > " + e.Spec, e.Owner, until, q.Failed.String(), e.Reason, out}
				for k := range row {
					row[k] = reports.Visible(row[k])
				}
				fmt.Fprintln(w, strings.Join(row, "\t"))
			}
			return w.Flush()
		},
	}
}

func quarantineExpireCommand() *cobra.Command {
	return &cobra.Command{
		Use: "expire", Args: cobra.NoArgs,
		Example: `  flujo-harness quarantine expire`,
		Short:   "Remove the entries whose last day is over",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, ledger, err := openLedger()
			if err != nil {
				return err
			}
			gone := ledger.Expire(time.Now())
			if len(gone) > 0 {
				if err := ledger.Write(); err != nil {
					return cli.Fault(err)
				}
			}
			for _, e := range gone {
				fmt.Fprintln(cmd.OutOrStdout(), reports.Visible(fmt.Sprintf("removed: %s > %s, until %s", e.Suite, e.Spec, e.Expires)))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d removed, %d left\n", len(gone), len(ledger.Entries))
			return nil
		},
	}
}

func openLedger() (project.Project, *quarantine.Ledger, error) {
	p, err := project.Find()
	if err != nil {
		return p, nil, cli.Fault(err)
	}
	ledger, err := p.Quarantine()
	if err != nil {
		return p, nil, cli.Usage(err)
	}
	return p, ledger, nil
}

// newestAnalysis returns the analysis of the newest run of tests in the history.
func newestAnalysis(cmd *cobra.Command, p project.Project, db string, ledger *quarantine.Ledger) (*analysis.Analysis, error) {
	path := p.History(db)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Usage(fmt.Errorf("there is no history at %s to find specs in: make one with flujo-harness run or ingest, or name it with --db", workdir.ShortPath(path)))
	}
	h, err := records.OpenRecorded(cmd.Context(), path)
	if err != nil {
		return nil, cli.Fault(err)
	}
	defer h.Close()
	run, note, err := records.NewestTests(cmd.Context(), h, nil)
	if err != nil {
		return nil, err
	}
	if note != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), note)
	}
	return records.Analyzed(analysis.Analyze(cmd.Context(), h, analysis.Options{Run: run, Quarantine: ledger, Now: time.Now(), Ancestry: p.Ancestry()}))
}

// specNamed returns the spec of the run whose text is wanted or, failing that, the only one that
// contains it.
func specNamed(a *analysis.Analysis, suite, wanted string) (*reports.Spec, error) {
	var whole, part []*reports.Spec
	wanted = strings.Join(strings.Fields(wanted), " ")
	if a.Run.Suites == nil || wanted == "" {
		return nil, fmt.Errorf("run %d, the newest run of tests, has no results to find %q in: run the tests again with flujo-harness run", a.Run.ID, wanted)
	}
	for i := range a.Run.Suites.Specs {
		s := &a.Run.Suites.Specs[i]
		if suite != "" && s.Suite != suite || s.Occurrence > 1 {
			continue
		}
		text := string(s.AppendText(nil))
		if text == wanted || s.Name() == wanted {
			whole = append(whole, s)
		}
		if strings.Contains(text, wanted) {
			part = append(part, s)
		}
	}
	if len(whole) == 0 {
		whole = part
	}
	switch len(whole) {
	case 1:
		return whole[0], nil
	case 0:
		return nil, fmt.Errorf("no spec of run %d is called %q: flujo-harness report -v lists those that fail", a.Run.ID, wanted)
	}
	var names []reports.Spec
	for _, s := range whole {
		names = append(names, *s)
	}
	return nil, fmt.Errorf("%q is ambiguous: %s: give more of its text, or --suite", wanted, records.FirstNames(names))
}
