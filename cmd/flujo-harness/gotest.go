package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
)

// goTests runs the tests of packages by go test: all of them where there is no Ginkgo
// suite, else what they have beside their specs.
type goTests struct {
	project  project
	packages []testPackage
	flags    []string // of the user
}

// calls are the arguments of go test, a call for each set of tests to leave out: one
// call for all packages without a suite.
func (g goTests) calls() (calls [][]string) {
	by := map[string][]string{}
	for _, t := range g.packages {
		skip := strings.Join(t.entries, "|")
		by[skip] = append(by[skip], t.ImportPath)
	}
	for _, skip := range slices.Sorted(maps.Keys(by)) {
		args := append([]string{"test", "-json", "-count=1"}, by[skip]...) // a result from the cache is none of this run
		if skip != "" {
			args = append(args, "-skip=^("+skip+")$")
		}
		calls = append(calls, append(args, g.flags...))
	}
	return calls
}

// run runs all packages once and reads the events, which are written as they come: what
// had ended before a kill is there, and what had begun has failed.
func (g goTests) run(ctx context.Context, _ func(string)) (s suitesRun, err error) {
	dir, err := harness.Folder(g.project.root)
	if err != nil {
		return s, fmt.Errorf("make a folder for the events of go test: %w", err)
	}
	events, log := filepath.Join(dir, "gotest.jsonl"), filepath.Join(dir, "gotest.log")
	out, err := os.Create(events)
	if err != nil {
		return s, fmt.Errorf("keep the events of go test: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	said, err := os.Create(log)
	if err != nil {
		return s, fmt.Errorf("log go test: %w", err)
	}
	defer func() { err = errors.Join(err, said.Close()) }()

	var failed error
	for _, args := range g.calls() {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = g.project.root, out, said
		one, err := runGroup(ctx, cmd)
		if err != nil {
			return s, fmt.Errorf("start go test: %w", err)
		}
		failed = errors.Join(failed, one)
	}
	reading, err := reports.ReadFile(events, g.project.root)
	switch {
	case errors.Is(err, reports.ErrNoSpecs): // as of a pattern of -run that no test matches
		reading = &reports.Reading{Results: &reports.Results{}}
	case err != nil:
		s.problem = fmt.Sprintf("go test gave no results (%v): %v: %s", failed, err, lastLines(log, 3))
		return s, nil
	}
	s.results, s.hints = reading.Results, reading.Notes
	if err := g.locate(ctx, s.results); err != nil {
		return s, err
	}
	if failed != nil && s.results.Green() && ctx.Err() == nil {
		s.problem = fmt.Sprintf("go test failed (%v), but none of its tests did: %s; its events are in %s", failed, lastLines(log, 3), short(events))
	}
	return s, nil
}

// locate names files from the folder of the module: events name them by the package.
func (g goTests) locate(ctx context.Context, r *reports.Results) error {
	list := exec.CommandContext(context.WithoutCancel(ctx), "go", "list", "-m")
	list.Dir = g.project.root
	module, err := list.Output()
	if err != nil {
		return fmt.Errorf("find the name of the module: %w", told(err))
	}
	prefix := strings.TrimSpace(string(module)) + "/"
	for i := range r.Specs {
		r.Specs[i].File = strings.TrimPrefix(r.Specs[i].File, prefix)
	}
	return nil
}
