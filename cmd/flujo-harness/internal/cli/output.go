package cli

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/harness/workdir"
)

// CheckOutputs reports, before any work is done, why a file that flags name could not be written.
// A path may be "", for no file, or "-", for standard output.
func CheckOutputs(paths ...string) error {
	for _, path := range paths {
		if path == "" || path == "-" {
			continue
		}
		if err := Writable(path); err != nil {
			return Usage(err)
		}
	}
	return nil
}

// Talk returns the writer for messages: standard error if one of the outputs is standard output,
// otherwise standard output.
func Talk(cmd *cobra.Command, outputs ...string) io.Writer {
	if slices.Contains(outputs, "-") {
		return cmd.ErrOrStderr()
	}
	return cmd.OutOrStdout()
}

// WriteJSON writes v as JSON to a file, or to standard output if path is "-".
func WriteJSON(path string, v any, stdout io.Writer) error {
	data, err := json.MarshalIndent(v, "", " ")
	switch {
	case err != nil:
		return err
	case path == "-":
		_, err = stdout.Write(append(data, '\n'))
		return err
	}
	return WriteWhole(path, data)
}

// Writable reports, before any work is done, why a file could not be written.
func Writable(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder: name a file", path)
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write results to %s: %w: make the folder first", path, err)
	}
	return nil
}

// WriteWhole writes a file atomically. It compresses the file if the name ends in ".gz".
func WriteWhole(path string, data []byte) error {
	return WriteStream(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteStream is like [WriteWhole], but does not need the whole content in memory.
func WriteStream(path string, write func(io.Writer) error) error {
	return workdir.Replace(path, func(part string) error { return writeFile(part, strings.HasSuffix(path, ".gz"), write) })
}

func writeFile(path string, compressed bool, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	var out io.WriteCloser = f
	if compressed {
		out = gzip.NewWriter(f)
	}
	text := bufio.NewWriterSize(out, 64<<10)
	if err := errors.Join(write(text), text.Flush()); err != nil {
		return errors.Join(err, f.Close())
	}
	if out != f {
		err = out.Close()
	}
	return errors.Join(err, f.Close())
}
