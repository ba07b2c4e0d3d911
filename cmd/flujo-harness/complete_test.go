package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// A shell is offered existing values for flags and for arguments.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", "one"}, {"branch", "topic"}, {"tag", "v1"}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	if err := os.WriteFile("go.mod", []byte("module example.com/shop\n\ngo 1.24\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	offered := func(args ...string) []string {
		t.Helper()
		var out strings.Builder
		if code := run(t.Context(), append([]string{"__complete"}, args...), strings.NewReader(""), &out, new(strings.Builder)); code != 0 {
			t.Errorf("%q: exit code %d", args, code)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		return lines[:len(lines)-1] // the last line is the directive for the shell
	}
	for call, want := range map[string][]string{
		"run --durability ":      {"process", "power"},
		"run --workload def":     {"default"},
		"bench --judge ":         {"time", "instructions", "counts"},
		"run --against t":        {"topic"},
		"compare ":               {"main", "topic", "v1"},
		"bisect ":                {},
		"quarantine add ":        {},
		"run --suite ":           {}, // a package, for which the shell offers files
		"bisect --good v":        {"v1"},
		"report --comment git":   {"github", "gitlab"},
		"run --annotations ":     {"github", "none"},
		"selftest durability al": {"all"},
	} {
		got := offered(strings.Split(call, " ")...)
		if len(got) == 0 && len(want) == 0 {
			continue
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", call, got, want)
		}
	}
	if _, err := os.Stat(".flujo"); err == nil {
		t.Error("completing has made a history")
	}

	db := filepath.Join(dir, "h.db")
	h, err := history.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	specs := specsOf("..F", false)
	specs.Specs = append(specs.Specs, reports.Spec{Suite: "shop", Leaf: "acts\x1b[2J", Occurrence: 1, State: reports.Passed})
	if _, err := h.Append(t.Context(), reports.Run{Suites: specs, Complete: true}); err != nil {
		t.Fatal(err)
	}
	for i := range 25 { // comparisons after it hide it from nobody
		if _, err := h.Append(t.Context(), reports.Run{Complete: true, Benchmarks: []reports.Benchmark{{Name: "shop.Total", Unit: "sec/op", Values: []float64{float64(i)}}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	got := offered("bisect", "--db", db, "")
	if len(got) != 3 || !strings.HasSuffix(got[0], " 3") {
		t.Errorf("specs: %q, want three, the failed first", got)
	}
	if got := offered("quarantine", "add", "--db", db, "--suite", ""); len(got) != 1 {
		t.Errorf("suites: %q", got)
	}
	if err := os.WriteFile(db, []byte("not a history"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := offered("bisect", "--db", db, ""); len(got) != 0 {
		t.Errorf("of a damaged history: %q", got)
	}
}

// Each command has a manual page that man can show. The pages are reproducible.
func TestManualPages(t *testing.T) {
	pages := func(dir string) map[string]string {
		var out strings.Builder
		if code := run(t.Context(), []string{"man", dir}, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("exit code %d: %s", code, out.String())
		}
		all := map[string]string{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all[e.Name()] = string(text)
		}
		return all
	}
	first, second := pages(filepath.Join(t.TempDir(), "a", "b")), pages(t.TempDir())
	for name, text := range first {
		if second[name] != text {
			t.Errorf("%s is not the same twice", name)
		}
		if !strings.Contains(text, ".SH SYNOPSIS") {
			t.Errorf("%s has no synopsis", name)
		}
	}
	for _, cmd := range command().Commands() {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		if cmd.IsAvailableCommand() && (first[name] == "" || !strings.Contains(first["flujo-harness.1"], "flujo-harness-"+cmd.Name())) {
			t.Errorf("%s has no page, or flujo-harness.1 does not name it", name)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"man", file}, strings.NewReader(""), new(strings.Builder), new(strings.Builder)); code != 2 {
		t.Errorf("into a file: exit code %d, want 2", code)
	}
}
