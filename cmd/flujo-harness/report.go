package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/publish"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/render"
)

// form is a format of a report.
type form struct {
	flag, what string
	path       string
	specs      bool // shows nothing but the specs
	write      func(io.Writer, *analysis.Analysis) error
}

func reportCommand() *cobra.Command {
	var output outputFlags
	var look records.AnalysisFlags
	var shared records.StoreFlags
	var comment publish.Comment
	var id int64
	var verbose bool
	var most int
	page := &form{flag: "html", what: "the page, all in one file,"}
	page.write = func(w io.Writer, a *analysis.Analysis) error { return render.RenderIn(filepath.Dir(page.path), w, a) } // for "-" it is the working folder
	forms := []*form{
		page,
		{flag: "md", what: "Markdown", write: func(w io.Writer, a *analysis.Analysis) error { return render.WriteMarkdown(w, a, most) }},
		{flag: "json", what: "JSON for programs", write: render.WriteJSON},
		{flag: "junit", specs: true, what: "JUnit XML", write: render.WriteJUnit},
		{flag: "ctrf", specs: true, what: "CTRF", write: render.WriteCTRF},
		{flag: "openmetrics", what: "OpenMetrics text", write: render.WriteOpenMetrics},
		{flag: "badge", specs: true, what: "an SVG badge", write: render.WriteBadge},
		{flag: "csv", specs: true, what: "CSV, a row for each spec,", write: render.WriteCSV},
	}
	cmd := &cobra.Command{
		Use: "report", Args: cobra.NoArgs,
		Short: "Show a recorded run: page, Markdown, JSON, JUnit, CTRF, metrics, badge, CSV",
		Example: `  flujo-harness report
  flujo-harness report --run 12 --md summary.md --junit junit.xml
  flujo-harness report --comment github
  flujo-harness report --json - | jq .counts`,
		Long: `Shows a recorded run, by default the newest: whether it passed, what changed, which changes are
significant, and what to do first. Nothing is measured, and no verdict is computed again. With
--junit, --ctrf, --badge or --csv, which show the specs, it is the newest run of tests: benchmarks
that were only compared are passed over, with a note.

Without other flags it writes the page to the folder of --out and prints a summary; -v prints
everything. With --html, --md and similar flags it writes only those outputs. Each takes a path,
or "-" for standard output, and then the summary is printed to standard error.

--json prints {"schema": 1, "verdict": {"outcome", "reason", "next", …}, "runs": [{"id", "total",
"passed", "failed", "skipped", "flaky", "pass_rate", "pass_rate_all", …}], "transitions":
[{"kind", "before", "now", "spec", "message", "rerun"}], …}. total = passed + failed + skipped.
Pending specs are counted as skipped, flaky ones (which passed only when retried) as passed. Rates
are shares between 0 and 1, or null if nothing ran; pass_rate excludes skipped specs, pass_rate_all
includes them. "failures_outside_specs" lists failures of builds, set-ups of suites and packages,
of this run and, if they are fixed, of the run before: {"id", "kind" (broke, still failing, failing,
flaky, fixed, not run, gone), "failing", "suite", "node" (build, BeforeSuite, package, …),
"occurrence", "message", "file", "line", "age_runs", "since_run", "last_passed", "specs_not_run"}.

--comment creates or updates one comment on the pull request of the run. In a workflow that another
one started (workflow_run, as init writes it) the comment shows all jobs of the other workflow, also
for changes of forks. If it cannot be written, that is reported and the exit code does not change.

Exit codes: 0 the report was written, whatever the results (flujo-harness gate judges them); 2 usage
error such as a --run that does not exist, or an unusable plan or limits file; 3 there is no run,
the history is damaged, or a file cannot be written.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := project.Find()
			if err != nil {
				return cli.Fault(err)
			}
			asked, talk, err := askedFor(cmd, forms)
			if err != nil {
				return err
			}
			if most < render.LeastMarkdown {
				return cli.Usage(fmt.Errorf("--md-bytes %d: give at least %d", most, render.LeastMarkdown))
			}
			if cmd.Flags().Changed("run") && id < 1 {
				return cli.Usage(fmt.Errorf("--run %d: runs are numbered from 1", id))
			}
			if err := comment.Check(); err != nil {
				return err
			}
			options, err := look.Options(p)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			history, store, err := shared.OpenShared(ctx, p, p.History(output.db))
			if err != nil {
				return err
			}
			defer history.Close()
			defer store.Close()
			ofSpecs, note := slices.ContainsFunc(asked, func(f *form) bool { return f.specs }), ""
			switch given := cmd.Flags().Changed("run"); {
			case given:
			case ofSpecs:
				here := store
				if !comment.Asked() {
					here = nil
				}
				if id, note, err = records.NewestTests(ctx, history, here); err != nil {
					return err
				}
			case comment.Asked() && store != nil:
				id = store.Newest // not a run of another job that was just received
			}
			a, err := look.Analyze(ctx, history, options, id)
			if err != nil {
				return err
			}
			if ofSpecs {
				if err := records.CheckTests(&a.Run); err != nil {
					return cli.Usage(err)
				}
			}
			page := ""
			if len(asked) == 0 || cmd.Flags().Changed("out") {
				if page, err = render.WriteReport(p.Path(output.out, ".flujo/report"), a); err != nil {
					return cli.Fault(err)
				}
			}
			if err := writeForms(asked, a, cmd.OutOrStdout()); err != nil {
				return cli.Fault(err)
			}
			var details []string
			if verbose {
				details = render.Details(a)
			}
			if note != "" {
				details = append(details, note)
			}
			details = append(details, store.Lines()...)
			if comment.Asked() {
				runs, err := look.OfPipeline(ctx, history, options, a, project.CIIdentity(os.Getenv))
				if err != nil {
					return err
				}
				if len(runs) == 0 {
					details = append(details, "comment: not made: the history has no run of the workflow that this job is for: take it in first, with flujo-harness history merge FOLDER")
				} else {
					details = append(details, comment.Post(ctx, publish.Of(runs))...)
				}
			}
			return summarize(talk, a, workdir.ShortPath(page), details)
		},
	}
	output.register(cmd)
	look.Register(cmd)
	shared.Register(cmd)
	comment.Register(cmd)
	cmd.Flags().Int64Var(&id, "run", 0, "number of the run (default the newest)")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print everything: formula, blocks, all failures")
	for _, f := range forms {
		cmd.Flags().StringVar(&f.path, f.flag, "", fmt.Sprintf(`write %s to this file ("-": standard output; .gz: compressed)`, f.what))
	}
	cmd.Flags().IntVar(&most, "md-bytes", publish.SummaryBytes, "most bytes of the Markdown: sections that do not fit are left out and named")
	return cmd
}

// askedFor returns the forms that have a path, and the writer for messages: standard error if a
// form is written to standard output.
func askedFor(cmd *cobra.Command, forms []*form) (asked []*form, talk io.Writer, err error) {
	talk = cmd.OutOrStdout()
	var there []string
	for _, f := range forms {
		switch {
		case f.path == "":
			continue
		case f.path == "-":
			there, talk = append(there, "--"+f.flag), cmd.ErrOrStderr()
		default:
			if err := cli.Writable(f.path); err != nil {
				return nil, nil, cli.Usage(fmt.Errorf("--%s: %w", f.flag, err))
			}
		}
		asked = append(asked, f)
	}
	if len(there) > 1 {
		return nil, nil, cli.Usage(fmt.Errorf("%s: only one of them can go to standard output", strings.Join(there, " and ")))
	}
	return asked, talk, nil
}

// writeForms writes all forms, even if one fails.
func writeForms(forms []*form, a *analysis.Analysis, stdout io.Writer) (failed error) {
	for _, f := range forms {
		write := func(w io.Writer) error { return f.write(w, a) }
		var err error
		if f.path == "-" {
			text := bufio.NewWriterSize(stdout, 64<<10)
			err = errors.Join(write(text), text.Flush())
		} else {
			err = cli.WriteStream(f.path, write)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("write --%s %s: %w", f.flag, f.path, err))
		}
	}
	return failed
}
