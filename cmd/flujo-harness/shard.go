package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/runner"
	"github.com/flujo/flujo-harness/thresholds"
)

// partFile is a results file, as far as merge needs it.
type partFile struct {
	Schema      int                  `json:"schema"`
	Command     string               `json:"command"`
	Commit      string               `json:"commit"`
	Dirty       bool                 `json:"dirty"`
	Comparisons []harness.Comparison `json:"comparisons"`
	Verdicts    []thresholds.Verdict `json:"verdicts"`
	Suites      *records.Part        `json:"suites"`
}

func mergeCommand() *cobra.Command {
	var j job
	var pipeline string
	cmd := &cobra.Command{
		Use:   "merge [FILE...]",
		Short: "Make one run of the parts that were run with --shard",
		Example: `  flujo-harness run --shard 1/2 --json 1.json   # in one job
  flujo-harness run --shard 2/2 --json 2.json   # in another one
  flujo-harness merge 1.json 2.json
  flujo-harness merge --store git:origin --run 1234567   # parts that sent themselves to the store`,
		Long: `Reads what "flujo-harness run --shard I/N --json FILE" wrote, all N parts of it, and makes
one run of them, with its entry in the history, its report and its exit code, as if all
had been run here. Verdicts are taken as they were given; gate judges again.

Without files it takes the parts from the history, into which --store brings those of other
machines: those of the pipeline that --run names, as its CI service numbers it, by default that
of the job itself. Of a part that ran again, as after a failure, the newest attempt counts.

Parts that are missing or there twice, have a package twice or lack one, were interrupted,
are of other commits, of another list of suites or of another number of --runs are refused:
what was not run must not be green.

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
		return cli.Usage(errors.New("merge: files beside --run: parts are taken from the one or the other: leave out one of them"))
	}
	if pipeline == "" {
		pipeline = of.Pipeline()
	}
	if len(paths) == 0 && pipeline == "" {
		return cli.Usage(errors.New("merge: name the files of the parts or, with --run, the pipeline whose parts are in the history or the --store"))
	}
	var files []partFile
	for _, path := range paths {
		f, err := readPart(path)
		if err != nil {
			return cli.Fault(fmt.Errorf("merge %s: %w", path, err))
		}
		files = append(files, f)
	}
	if len(paths) > 0 { // before anything is opened
		if err := fit(paths, files); err != nil {
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
			name, f := partOf(&parts[i])
			paths, files = append(paths, name), append(files, f)
		}
		if err := fit(paths, files); err != nil {
			return cli.Fault(err)
		}
	}
	r := together(files)
	j.results.part = &records.Part{Shard: "1/1", Suites: files[0].Suites.Suites, Format: files[0].Suites.Format, Runs: merged(files), Problem: r.SuiteError}
	r.Command = commandLine(j.cmd, paths, nil)
	r.Outcome, r.ExitCode = conclude(r, false, j.strict, j.about.Quarantine)
	r.Branch = p.Branch(ctx)
	p.Locate(ctx, &r, of)
	return j.keep(ctx, p, history, r, out, nil)
}

// partOf is a run of a part as its file would be.
func partOf(r *reports.Run) (name string, f partFile) {
	f = partFile{Schema: 1, Command: r.Command, Commit: r.Commit, Dirty: r.Dirty, Comparisons: r.Comparisons, Verdicts: r.Verdicts,
		Suites: &records.Part{Shard: r.Origin.Shard, Dealt: r.Origin.Selection.Dealt, Format: r.Format, Runs: []*reports.Results{r.Suites}, Problem: r.SuiteError, Interrupted: !r.Complete}}
	return fmt.Sprintf("run %d", r.ID), f
}

func readPart(path string) (f partFile, err error) {
	file, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer file.Close()
	text, err := harness.ResultsText(file)
	if err != nil {
		return f, fmt.Errorf("%w: use what run --json wrote", err)
	}
	switch err := json.Unmarshal(text, &f); {
	case err != nil:
		return f, fmt.Errorf("this is no results file, or not all of one: %w: use what run --json wrote", err)
	case f.Schema != 1:
		return f, fmt.Errorf("schema %d: this program reads 1", f.Schema)
	case reports.CheckCommit(f.Commit) != nil:
		return f, fmt.Errorf("its commit: %w", reports.CheckCommit(f.Commit))
	case f.Suites == nil || len(f.Suites.Runs) == 0:
		return f, errors.New("there are no results of suites in it: use what run --json wrote")
	}
	return f, nil
}

// fit refuses files that are not all the parts of one run.
func fit(paths []string, files []partFile) error {
	first := files[0]
	there := map[string]string{}
	for i, f := range files {
		var s runner.Share
		if err := s.Set(f.Suites.Shard); err != nil {
			return fmt.Errorf("merge %s: shard %q: %w", paths[i], f.Suites.Shard, err)
		}
		other, twice := there[f.Suites.Shard]
		switch {
		case twice:
			return fmt.Errorf("merge: %s and %s are both part %s: name each once", other, paths[i], f.Suites.Shard)
		case s.N != len(files):
			return fmt.Errorf("merge: %s is part %s, and the number of parts here is %d: all parts of one run are needed", paths[i], f.Suites.Shard, len(files))
		case f.Commit != first.Commit:
			return fmt.Errorf("merge: %s is of commit %.12s, and %s of %.12s: run the parts of one commit", paths[0], first.Commit, paths[i], f.Commit)
		case !slices.Equal(f.Suites.Suites, first.Suites.Suites):
			return fmt.Errorf("merge: %s and %s were dealt out from different lists of suites: run all parts with the same packages", paths[0], paths[i])
		case f.Suites.Interrupted:
			return fmt.Errorf("merge: %s was interrupted: run that part again", paths[i])
		case len(f.Suites.Runs) != len(first.Suites.Runs):
			return fmt.Errorf("merge: %s has %d runs, and %s %d: run all parts with the same --runs", paths[0], len(first.Suites.Runs), paths[i], len(f.Suites.Runs))
		}
		there[f.Suites.Shard] = paths[i]
	}
	var dealt []reports.Dealt
	for _, f := range files {
		if f.Suites.Dealt == nil { // an earlier version wrote it
			return nil
		}
		dealt = append(dealt, *f.Suites.Dealt)
	}
	if err := reports.Fit(dealt); err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	return nil
}

// merged are the results of all parts, for each repetition.
func merged(files []partFile) []*reports.Results {
	runs := make([]*reports.Results, len(files[0].Suites.Runs))
	for i := range runs {
		runs[i] = &reports.Results{}
		for _, f := range files {
			runs[i].Suites = append(runs[i].Suites, f.Suites.Runs[i].Suites...)
			runs[i].Specs = append(runs[i].Specs, f.Suites.Runs[i].Specs...)
		}
	}
	return runs
}

// together is the run that the parts make.
func together(files []partFile) reports.Run {
	r := reports.Run{Started: time.Now().UTC(), Commit: files[0].Commit, Complete: true, Format: files[0].Suites.Format,
		Suites: reports.Repeated(merged(files))}
	for _, f := range files {
		r.Dirty = r.Dirty || f.Dirty
		if r.SuiteError == "" && f.Suites.Problem != "" {
			r.SuiteError = fmt.Sprintf("part %s: %s", f.Suites.Shard, f.Suites.Problem)
		}
		r.Comparisons, r.Verdicts = append(r.Comparisons, f.Comparisons...), append(r.Verdicts, f.Verdicts...)
	}
	for _, s := range r.Suites.Suites {
		r.Seconds += s.Duration.Seconds()
		if !s.Started.IsZero() && s.Started.Before(r.Started) {
			r.Started = s.Started
		}
	}
	return r
}
