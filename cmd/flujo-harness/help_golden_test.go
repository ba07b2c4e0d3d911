package main

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the golden files of the help texts")

// Every help text is in a golden file of its own, so that a changed flag is seen in review.
func TestHelpGolden(t *testing.T) {
	var written []string
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "completion" || cmd.Name() == "help" {
			return
		}
		words := strings.Fields(cmd.CommandPath())
		var out strings.Builder
		if code := run(t.Context(), append(words[1:], "--help"), strings.NewReader(""), &out, &out); code != 0 {
			t.Errorf("%s --help: exit code %d", cmd.CommandPath(), code)
		}
		path := filepath.Join("testdata", "help", strings.Join(words, "-")+".txt")
		written = append(written, path)
		if *update {
			if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v: run go test ./cmd/flujo-harness -run TestHelpGolden -update and read the difference", err)
		}
		if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("%s (go test ./cmd/flujo-harness -run TestHelpGolden -update writes it):\n%s", path, diff)
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(command())
	there, err := filepath.Glob(filepath.Join("testdata", "help", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if !slices.Contains(written, path) {
			t.Errorf("%s is the help of no command: remove it", path)
		}
	}
}
