package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
)

// resultFlags name the files for results that other programs read.
type resultFlags struct {
	cli.Results
	part *records.Part // added to the JSON file; may be nil
}

func (f *resultFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.JSON, "json", "", `write the results, raw samples included, to this file ("-": standard output; .gz: compressed); flujo-harness gate judges them again`)
	cmd.Flags().StringVar(&f.Benchfmt, "benchfmt", "", `write the results in the Go benchmark format to this file ("-": standard output): benchstat -ignore seed,commit OLD NEW`)
}

// write writes the results of the measurements in the requested formats, without secrets.
func (f *resultFlags) write(r reports.Run, stdout io.Writer) error {
	if f.JSON == "" && f.Benchfmt == "" {
		return nil
	}
	r.Suites = nil // the part has them
	r = analysis.Redacted(r)
	verdicts, err := json.Marshal(r.Verdicts)
	if err != nil {
		return fmt.Errorf("write the verdicts: %w", err)
	}
	results := harness.Results{Program: harness.ThisProgram(), Command: r.Command, Commit: r.Commit, Dirty: r.Dirty, Comparisons: r.Comparisons, Verdicts: verdicts}
	if f.part != nil {
		if results.Suites, err = json.Marshal(f.part.Clean()); err != nil {
			return fmt.Errorf("write the results of the suites: %w", err)
		}
	}
	var failed error
	for _, form := range []struct {
		path  string
		write func(io.Writer) error
	}{{f.JSON, results.Write}, {f.Benchfmt, results.WriteBenchmarks}} {
		if form.path == "" {
			continue
		}
		var text bytes.Buffer
		switch err := form.write(&text); {
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("write results to %s: %w", form.path, err))
		case form.path == "-":
			_, err := stdout.Write(text.Bytes())
			failed = errors.Join(failed, err)
		default:
			if err := cli.WriteWhole(form.path, text.Bytes()); err != nil {
				failed = errors.Join(failed, fmt.Errorf("write results to %s: %w", form.path, err))
			}
		}
	}
	return failed
}
