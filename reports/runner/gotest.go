package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/reports/live"
)

// goTests runs the tests of packages by go test: all tests of packages without a Ginkgo suite, and the
// tests of packages with a suite that do not run its specs.
type goTests struct {
	options  Options
	packages []testPackage
	flags    []string // flags of the user
	kept     *kept    // nil if each run builds the test programs again
}

// calls returns the arguments for each call of go test. Packages with the same -run and -skip share a
// call, so that all packages without a suite are one call.
func (g goTests) calls() (calls [][]string) {
	by := map[string][]string{}
	for i := range g.packages {
		t := &g.packages[i]
		flags := t.runOf()
		if skip := strings.Join(t.entries, "|"); skip != "" {
			flags += "\n-skip=^(" + skip + ")$"
		}
		by[flags] = append(by[flags], t.ImportPath)
	}
	for _, flags := range slices.Sorted(maps.Keys(by)) {
		args := append([]string{"test", "-json", "-count=1"}, by[flags]...) // -count=1 prevents results from the cache
		args = append(args, strings.Fields(flags)...)
		calls = append(calls, append(args, g.flags...))
	}
	return calls
}

// call makes one of the calls of go test, or starts the program that an earlier one kept.
func (g goTests) call(ctx context.Context, args []string, events, log io.Writer) (failed, err error) {
	if flags, ok := g.forProgram(args); ok && g.kept.find(ctx, g.options.Root) {
		if g.kept.built() {
			return g.kept.run(ctx, g.packages[0], flags, g.options.Guard, events)
		}
		args = slices.Insert(args, 1, g.kept.build()...)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = g.options.Root, events, log
	if failed, err = child.RunGroup(ctx, cmd, g.options.Guard); err != nil {
		err = fmt.Errorf("start go test: %w", err)
	}
	return failed, err
}

// forProgram returns the flags of a call that are for the test program. It reports false if the
// program must not be kept: there are several, or a flag may have another meaning for go test.
func (g goTests) forProgram(args []string) (flags []string, ok bool) {
	if g.kept == nil || len(g.packages) != 1 {
		return nil, false
	}
	flags = args[slices.Index(args, g.packages[0].ImportPath)+1:]
	return flags, !slices.ContainsFunc(flags, func(f string) bool {
		return !strings.HasPrefix(f, "-run=") && !strings.HasPrefix(f, "-skip=")
	})
}

// run runs all packages once and reads the events. go test writes them to a file as they occur, so that
// after a kill the file contains the tests that had ended, and those that were running have failed.
func (g goTests) run(ctx context.Context, tell func(live.News)) (s Outcome, err error) {
	dir, err := g.options.folder()
	if err != nil {
		return s, fmt.Errorf("create a folder for the events of go test: %w", err)
	}
	events, log := filepath.Join(dir, "gotest.jsonl"), filepath.Join(dir, "gotest.log")
	out, err := os.Create(events)
	if err != nil {
		return s, fmt.Errorf("write the events of go test: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	said, err := os.Create(log)
	if err != nil {
		return s, fmt.Errorf("log go test: %w", err)
	}
	defer func() { err = errors.Join(err, said.Close()) }()

	stop := sync.OnceFunc(watch(newGoNews(g.options.Root, events).look, tell))
	defer stop()
	var failed error
	for _, args := range g.calls() {
		one, err := g.call(ctx, args, out, said)
		if err != nil {
			return s, err
		}
		failed = errors.Join(failed, one)
	}
	stop()
	if failed != nil {
		if err := addBuilds(events, log); err != nil {
			return s, fmt.Errorf("read what go test printed of builds: %w", err)
		}
	}
	reading, err := ingest.ReadFile(events, g.options.Root)
	switch {
	case errors.Is(err, ingest.ErrNoSpecs): // for example if no test matches the pattern of -run
		reading = &ingest.Reading{Results: &reports.Results{}}
	case err != nil:
		s.Problem = fmt.Sprintf("go test gave no results (%v): %v: %s", failed, err, lastLines(log, 3))
		return s, nil
	}
	s.Results, s.Hints = reading.Results, reading.Notes
	if ctx.Err() == nil {
		g.expect(s.Results)
	}
	if failed != nil && s.Results.Green() && ctx.Err() == nil {
		s.Problem = fmt.Sprintf("go test failed (%v), but none of its tests did: %s; its events are in %s", failed, lastLines(log, 3), workdir.ShortPath(events))
	}
	return s, nil
}

var failedBuild = regexp.MustCompile(`(?m)^FAIL\t\S+ \[(build|setup) failed\]`)

// addBuilds inserts the log of go test before the events if a build failed without an event. Before
// Go 1.24 the errors of the compiler are only in the log.
func addBuilds(events, log string) error {
	out, err := os.ReadFile(events)
	if err != nil || !failedBuild.Match(out) {
		return err
	}
	said, err := os.ReadFile(log)
	if err != nil || len(said) == 0 {
		return err
	}
	if said[len(said)-1] != '\n' {
		said = append(said, '\n')
	}
	return os.WriteFile(events, append(said, out...), 0o644)
}

// expect adds a failure to each package that passed without running all of its tests, because TestMain
// does not call m.Run, the program exits early, or GOFLAGS contain a filter. If the user's flags select
// tests, or a failure ended the run, tests may be missing.
func (g goTests) expect(r *reports.Results) {
	if filters(g.flags) || slices.ContainsFunc(g.flags, isFailfast) && !r.Green() {
		return
	}
	ran, failed := map[string]bool{}, map[string]bool{}
	for _, s := range r.Specs {
		name, _, _ := strings.Cut(s.Leaf, "/")
		ran[s.Suite+" "+name] = true
		failed[s.Suite] = failed[s.Suite] || s.State == reports.Failed
	}
	at := map[string]int{}
	for i, s := range r.Suites {
		at[s.Path] = i
		failed[s.Path] = failed[s.Path] || len(s.Failures) > 0
	}
	for _, t := range g.packages {
		missing := slices.DeleteFunc(slices.Clone(t.plain), func(name string) bool { return ran[t.ImportPath+" "+name] })
		if len(missing) == 0 || failed[t.ImportPath] {
			continue
		}
		i, known := at[t.ImportPath]
		if !known {
			i = len(r.Suites)
			r.Suites = append(r.Suites, reports.Suite{Path: t.ImportPath})
		}
		const most = 10
		names := strings.Join(missing[:min(most, len(missing))], ", ")
		if len(missing) > most {
			names += ", …"
		}
		r.Suites[i].Failures = append(r.Suites[i].Failures, reports.SuiteFailure{Node: "package",
			Message: fmt.Sprintf("%d of %s did not run, and go test reports no failure: %s: make sure that TestMain calls m.Run, that nothing exits before, and that neither GOFLAGS nor TestMain sets -run or -skip",
				len(missing), text.Plural(len(t.plain), "test"), names)})
	}
}

// filters reports whether flags of go test select tests.
func filters(flags []string) bool {
	return slices.ContainsFunc(flags, func(f string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		return strings.HasPrefix(f, "-") && slices.Contains([]string{"run", "skip", "test.run", "test.skip", "test.list"}, name)
	})
}

func isFailfast(flag string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
	return name == "failfast" || name == "test.failfast"
}
