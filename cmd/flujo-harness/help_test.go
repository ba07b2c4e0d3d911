package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every help text has an example with existing commands and flags, and fits into 100 columns. The
// first page groups the commands.
func TestHelp(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(parent *cobra.Command) {
		for _, cmd := range parent.Commands() {
			if !cmd.IsAvailableCommand() || cmd.Name() == "completion" {
				continue
			}
			var out strings.Builder
			if code := run(t.Context(), append(strings.Fields(cmd.CommandPath())[1:], "--help"), strings.NewReader(""), &out, &out); code != 0 {
				t.Errorf("%s --help: exit code %d", cmd.CommandPath(), code)
			}
			for line := range strings.Lines(out.String()) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 && !strings.Contains(cmd.Example, strings.TrimSpace(line)) {
					t.Errorf("%s --help: %d columns: %s", cmd.CommandPath(), n, line)
				}
			}
			if strings.Contains(out.String(), "\t") {
				t.Errorf("%s --help: a line is indented as in the source", cmd.CommandPath())
			}
			if cmd.Example == "" {
				t.Errorf("%s has no example", cmd.CommandPath())
			}
			if parent.Parent() == nil && cmd.GroupID == "" {
				t.Errorf("%s is in no group", cmd.CommandPath())
			}
			shown := false
			for line := range strings.Lines(cmd.Example) {
				shown = checkExample(t, cmd, line) || shown
			}
			if !shown {
				t.Errorf("%s: no line of its example calls it", cmd.CommandPath())
			}
			walk(cmd)
		}
	}
	walk(command())
}

var exampleFlag = regexp.MustCompile(`\s--([a-z][a-z-]*)`)

// checkExample checks that a line calls an existing command with its flags, and reports whether
// it is cmd.
func checkExample(t *testing.T, cmd *cobra.Command, line string) bool {
	t.Helper()
	_, call, ok := strings.Cut(line, "flujo-harness")
	if !ok {
		t.Errorf("%s: the example %q does not call flujo-harness", cmd.CommandPath(), line)
		return false
	}
	call, _, _ = strings.Cut(call, "&&")
	call, _, _ = strings.Cut(call, "#")
	call, _, _ = strings.Cut(call, " | ")
	call, _, _ = strings.Cut(call, " -- ")
	called, _, err := command().Find(strings.Fields(call))
	if err != nil || called.Parent() == nil {
		t.Errorf("%s: the example %q calls no command: %v", cmd.CommandPath(), line, err)
		return false
	}
	for _, m := range exampleFlag.FindAllStringSubmatch(call, -1) {
		if called.Flags().Lookup(m[1]) == nil {
			t.Errorf("%s: the example %q has a flag that there is not: --%s", cmd.CommandPath(), line, m[1])
		}
	}
	return strings.HasPrefix(called.CommandPath(), cmd.CommandPath())
}

func TestWhatWasMeantIsNamed(t *testing.T) {
	for call, want := range map[string]string{
		"repot":              "did you mean: flujo-harness report?",
		"run --workloda x":   "did you mean --workload?",
		"run -v":             `come after "--": flujo-harness run ./... -- -v`,
		"run -race":          `come after "--": flujo-harness run ./... -- -race`,
		"run -run=TestX":     `come after "--": flujo-harness run ./... -- -run`,
		"run --count 3":      `come after "--": flujo-harness run ./... -- -count`,
		"gate --no-new":      "unknown flag: --no-new",
		"report --openmetic": "did you mean --openmetrics?",
	} {
		var out strings.Builder
		if code := run(t.Context(), strings.Fields(call), strings.NewReader(""), &out, &out); code != 2 || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit code %d, %s; want %q", call, code, out.String(), want)
		}
	}
	var out strings.Builder
	if code := run(t.Context(), []string{"zzzzzzzz"}, strings.NewReader(""), &out, &out); code != 2 || strings.Contains(out.String(), "did you mean") {
		t.Errorf("a name like no other: exit code %d, %s", code, out.String())
	}
	out.Reset()
	if code := run(t.Context(), []string{"--version"}, strings.NewReader(""), &out, &out); code != 0 || !slices.Contains(strings.Fields(out.String()), "flujo-harness") || !strings.Contains(out.String(), "go1.") {
		t.Errorf("--version: exit code %d, %s", code, out.String())
	}
}
