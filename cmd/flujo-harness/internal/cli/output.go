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

// CheckOutputs finds before any work what would stop the writing of the files that flags
// name: "" is none, "-" standard output.
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

// Talk is where messages for people go: not standard output where one of the outputs goes
// there.
func Talk(cmd *cobra.Command, outputs ...string) io.Writer {
	if slices.Contains(outputs, "-") {
		return cmd.ErrOrStderr()
	}
	return cmd.OutOrStdout()
}

// WriteJSON writes v to the file that --json names, or to standard output for "-".
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

// Writable finds before any work what would stop the writing of a file.
func Writable(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder: name a file", path)
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write results to %s: %w: make the folder first", path, err)
	}
	return nil
}

// WriteWhole writes a file, whole or not at all, compressed where its name ends in ".gz".
func WriteWhole(path string, data []byte) error {
	return WriteStream(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteStream is [WriteWhole] of what write writes, which is never in memory as a whole.
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
