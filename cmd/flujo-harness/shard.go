package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
)

func mergeCommand() *cobra.Command {
	var j job
	var pipeline string
	cmd := &cobra.Command{
		Use:   "merge [FILE...]",
		Short: "Combine the parts of a run that was split by --shard",
		Example: `  flujo-harness run --shard 1/2 --json 1.json   # in one job
  flujo-harness run --shard 2/2 --json 2.json   # in another one
  flujo-harness merge 1.json 2.json
  flujo-harness merge --store git:origin --run 1234567   # parts that sent themselves to the store`,
		Long: `Reads the files of all N parts that "flujo-harness run --shard I/N --json FILE" wrote, and combines
them into one run with one entry in the history, one report and one exit code, as if everything had
been run here. Verdicts are used as recorded; gate judges again.

Without files the parts come from the history, to which --store adds those of other machines. They
are the parts of the pipeline that --run names by its number in the CI service, by default of the
pipeline of this job. If a part was run again, for example after a failure, its newest attempt
counts.

Parts are refused if one is missing or given twice, if a package is missing or in two parts, if
one was interrupted, or if their commits, lists of suites or numbers of --runs differ: tests that
did not run must not look as if they had passed.

Exit codes: those of run.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			j.cmd = cmd
			return j.merge(paths, pipeline)
		},
	}
	j.output.register(cmd)
	j.results.register(cmd)
	j.ci.Register(cmd)
	j.store.RegisterOutbox(cmd)
	cmd.Flags().StringVar(&pipeline, "run", "", "pipeline whose parts are taken from the history and the store (default that of this CI job)")
	cmd.Flags().BoolVar(&j.strict, "strict", false, "exit with 4 where a verdict is inconclusive")
	return cmd
}

func (j job) merge(paths []string, pipeline string) error {
	if err := errors.Join(j.results.Check(), j.ci.Check()); err != nil {
		return err
	}
	p, err := project.Find()
	if err != nil {
		return cli.Fault(err)
	}
	if j.about, err = (&records.AnalysisFlags{Window: analysis.DefaultWindow}).Options(p); err != nil {
		return err
	}
	ctx, of := j.cmd.Context(), project.CIIdentity(os.Getenv)
	if len(paths) > 0 && pipeline != "" {
		return cli.Usage(errors.New("merge takes parts either from files or from --run: use one of the two"))
	}
	if pipeline == "" {
		pipeline = of.Pipeline()
	}
	if len(paths) == 0 && pipeline == "" {
		return cli.Usage(errors.New("merge: name the files of the parts or, with --run, the pipeline whose parts are in the history or the --store"))
	}
	var files []records.PartFile
	for _, path := range paths {
		f, err := records.ReadPart(path)
		if err != nil {
			return cli.Fault(fmt.Errorf("merge %s: %w", path, err))
		}
		files = append(files, f)
	}
	if len(paths) > 0 { // checked before anything is opened
		if err := records.FitParts(paths, files); err != nil {
			return cli.Fault(err)
		}
	}
	if err := j.output.check(p); err != nil {
		return err
	}
	history, out, err := j.output.open(ctx, p)
	if err != nil {
		return cli.Fault(err)
	}
	defer history.Close()
	if j.shared, err = j.store.Connect(ctx, p, history); err != nil {
		return err
	}
	defer j.shared.Close()
	j.shared.Pull(ctx)
	if len(paths) == 0 {
		parts, err := records.Parts(ctx, history, pipeline)
		if err != nil {
			return cli.Fault(err)
		}
		if len(parts) == 0 {
			j.shared.Print(j.cmd.ErrOrStderr())
			return cli.Fault(fmt.Errorf("merge: neither the history nor the store has a part of pipeline %s: do its jobs name the same --store, and did they run with --shard?", reports.Visible(pipeline)))
		}
		for i := range parts {
			name, f := records.PartOf(&parts[i])
			paths, files = append(paths, name), append(files, f)
		}
		if err := records.FitParts(paths, files); err != nil {
			return cli.Fault(err)
		}
	}
	r := records.Together(files)
	j.results.part = &records.Part{Shard: "1/1", Suites: files[0].Suites.Suites, Format: files[0].Suites.Format, Runs: records.Merged(files), Problem: r.SuiteError}
	r.Command = commandLine(j.cmd, paths, nil)
	r.Outcome, r.ExitCode = conclude(r, false, j.strict, j.about.Quarantine)
	r.Branch = p.Branch(ctx)
	p.Locate(ctx, &r, of)
	return j.keep(ctx, p, history, r, out, nil)
}
