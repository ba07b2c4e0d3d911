package records

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/runner"
	"github.com/flujo/flujo-harness/thresholds"
)

// PartFile has the parts of a results file that merge reads.
type PartFile struct {
	Schema      int                  `json:"schema"`
	Command     string               `json:"command"`
	Commit      string               `json:"commit"`
	Dirty       bool                 `json:"dirty"`
	Comparisons []harness.Comparison `json:"comparisons"`
	Verdicts    []thresholds.Verdict `json:"verdicts"`
	Suites      *Part                `json:"suites"`
}

// PartOf converts a recorded run of a shard to its results file, and returns a name for messages.
func PartOf(r *reports.Run) (name string, f PartFile) {
	f = PartFile{Schema: 1, Command: r.Command, Commit: r.Commit, Dirty: r.Dirty, Comparisons: r.Comparisons, Verdicts: r.Verdicts,
		Suites: &Part{Shard: r.Origin.Shard, Dealt: r.Origin.Selection.Dealt, Format: r.Format, Runs: []*reports.Results{r.Suites}, Problem: r.SuiteError, Interrupted: !r.Complete}}
	return fmt.Sprintf("run %d", r.ID), f
}

// ReadPart reads the results file of a part.
func ReadPart(path string) (f PartFile, err error) {
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

// FitParts returns an error unless the files are all the parts of one run.
func FitParts(paths []string, files []PartFile) error {
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
		if f.Suites.Dealt == nil { // written by an earlier version
			return nil
		}
		dealt = append(dealt, *f.Suites.Dealt)
	}
	if err := reports.Fit(dealt); err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	return nil
}

// Merged returns the results of all parts, one element per repetition.
func Merged(files []PartFile) []*reports.Results {
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

// Together returns the run that the parts form.
func Together(files []PartFile) reports.Run {
	r := reports.Run{Started: time.Now().UTC(), Commit: files[0].Commit, Complete: true, Format: files[0].Suites.Format,
		Suites: reports.Repeated(Merged(files))}
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
