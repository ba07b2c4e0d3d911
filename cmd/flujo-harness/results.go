package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
)

// resultFlags say where results go that other programs read.
type resultFlags struct {
	json     string
	benchfmt string
	part     *part // what goes to json beside what was measured; nil: nothing
}

func (f *resultFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.json, "json", "", `write the results, raw samples included, to this file ("-": standard output; .gz: compressed); flujo-harness gate judges them again`)
	cmd.Flags().StringVar(&f.benchfmt, "benchfmt", "", `write the results in the Go benchmark format to this file ("-": standard output): benchstat -ignore seed,commit OLD NEW`)
}

// check finds before any work what would stop the writing.
func (f *resultFlags) check() error {
	if f.json == "-" && f.benchfmt == "-" {
		return usage(errors.New("--json - and --benchfmt -: only one of them can go to standard output"))
	}
	for _, path := range []string{f.json, f.benchfmt} {
		if path == "" || path == "-" {
			continue
		}
		if err := writable(path); err != nil {
			return usage(err)
		}
	}
	return nil
}

// writable finds before any work what would stop the writing of a file.
func writable(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder: name a file", path)
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write results to %s: %w: make the folder first", path, err)
	}
	return nil
}

// talk is where people are told things: not standard output where results go there.
func (f *resultFlags) talk(cmd *cobra.Command) io.Writer {
	if f.json == "-" || f.benchfmt == "-" {
		return cmd.ErrOrStderr()
	}
	return cmd.OutOrStdout()
}

// write writes what was measured in each form that was asked for, without secrets.
func (f *resultFlags) write(r reports.Run, stdout io.Writer) error {
	if f.json == "" && f.benchfmt == "" {
		return nil
	}
	r.Suites = nil // they are in the part
	r = analysis.Redacted(r)
	verdicts, err := json.Marshal(r.Verdicts)
	if err != nil {
		return fmt.Errorf("write the verdicts: %w", err)
	}
	results := harness.Results{Program: harness.ThisProgram(), Command: r.Command, Commit: r.Commit, Dirty: r.Dirty, Comparisons: r.Comparisons, Verdicts: verdicts}
	if f.part != nil {
		if results.Suites, err = json.Marshal(f.part.clean()); err != nil {
			return fmt.Errorf("write the results of the suites: %w", err)
		}
	}
	var failed error
	for _, form := range []struct {
		path  string
		write func(io.Writer) error
	}{{f.json, results.Write}, {f.benchfmt, results.WriteBenchmarks}} {
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
			if err := writeWhole(form.path, text.Bytes()); err != nil {
				failed = errors.Join(failed, fmt.Errorf("write results to %s: %w", form.path, err))
			}
		}
	}
	return failed
}

// writeJSON writes v to the file that --json names, or to standard output.
func (f *resultFlags) writeJSON(v any, stdout io.Writer) error {
	data, err := json.MarshalIndent(v, "", " ")
	switch {
	case err != nil:
		return err
	case f.json == "-":
		_, err = stdout.Write(append(data, '\n'))
		return err
	}
	return writeWhole(f.json, data)
}

// writeWhole writes a file, whole or not at all, compressed where its name ends in ".gz".
func writeWhole(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	var out io.WriteCloser = f
	if strings.HasSuffix(path, ".gz") {
		out = gzip.NewWriter(f)
	}
	if _, err := out.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if out != f {
		err = out.Close()
	}
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
