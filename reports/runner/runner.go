// Package runner runs the tests of a Go module in child processes and reads their results. It runs
// Ginkgo suites by the version of Ginkgo that the module requires, and all other tests by go test. If
// the process of a suite is killed, the results contain the specs that had ended.
package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/reports/live"
)

// Options select the tests to run.
type Options struct {
	Root     string   // folder of go.mod
	Packages []string // patterns as for go list, relative to the working folder
	Flags    []string // flags for Ginkgo, or for go test if no package has a suite
	Share    Share    // part of the packages; the zero value selects all

	// Elsewhere is the folder for the command of Ginkgo and for logs if the folder of the module is
	// read-only. If it is "", a read-only folder is an error.
	Elsewhere string

	// Only selects packages, by import path or by folder relative to Root, and tests in them. nil
	// selects everything.
	Only map[string]Only

	// Seconds is the duration of packages in s, by import path or by folder relative to Root. Share
	// uses it to balance the parts. Packages may be missing.
	Seconds map[string]float64

	// Program is a file for the test program of the package, if only one is selected and has no Ginkgo
	// suite. The first run leaves the program there, and later runs start it without go test: they
	// are faster and do not see changes of the source. If it is "", each run is a call of go test.
	Program string

	// Guard is the command line of a process that calls [child.ServeGuard]. It ends the tests if this
	// process is killed.
	//
	// [child.ServeGuard]: https://pkg.go.dev/github.com/flujo/flujo-harness/harness/child#ServeGuard
	Guard []string
}

// folder returns the folder for the command of Ginkgo and the logs, as an absolute path.
func (o *Options) folder() (string, error) {
	dir, err := workdir.Folder(o.Root)
	if err == nil {
		err = workdir.Writable(dir)
	}
	if err != nil && o.Elsewhere != "" {
		dir, err = o.Elsewhere, os.MkdirAll(o.Elsewhere, 0o755)
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir) // commands run in the folder of the module
}

// RequestError reports that the tests cannot be run with these packages, flags or share. The caller
// has to change them.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

func refusal(err error) error { return &RequestError{err} }

// Outcome is the result of one or more runs of the tests.
type Outcome struct {
	Results *reports.Results // nil if there are none; then Problem contains the reason
	Problem string           // why the results must not be trusted, even if every test passed
	Focused bool             // Ginkgo exited with the code for programmatic focus
	Hints   []string         // advice for the user
}

// Tests are the tests to run.
type Tests struct {
	Format string   // format of the results: "Ginkgo JSON" or "go test -json"
	All    []string // sorted import paths of the packages of all shares
	Suites []string // suites of this share, as the results name them

	Dealt *reports.Dealt // the part of All to run; nil if there is only one part

	what    string // description of the tests for messages
	once    func(ctx context.Context, tell func(live.News)) (Outcome, error)
	leftOut []string // modules that the patterns do not match
}

// Find finds the tests. It checks the request before anything runs; an invalid request is a
// [*RequestError].
func Find(ctx context.Context, o Options) (*Tests, error) {
	packages, err := testPackages(ctx, o.Packages, o.Flags)
	if err != nil {
		return nil, refusal(err)
	}
	if packages = o.choose(packages); len(packages) == 0 {
		return nil, refusal(errors.New("none of the named packages that have tests was chosen: name other packages, or none"))
	}
	t := &Tests{Format: "go test -json"}
	for _, s := range packages {
		t.All = append(t.All, s.ImportPath)
		if s.suite != "" {
			t.Format = "Ginkgo JSON"
		}
	}
	slices.Sort(t.All)
	if o.Share.N > 0 {
		parts := deal(t.All, o.seconds(packages), o.Share.N)
		mine := func(s testPackage) bool { return parts[slices.Index(t.All, s.ImportPath)] == o.Share.Index-1 }
		var places []int
		for i := range t.All {
			if parts[i] == o.Share.Index-1 {
				places = append(places, i)
			}
		}
		dealt := newDealt(t.All, places, o.Share.N)
		t.Dealt = &dealt
		packages = slices.DeleteFunc(packages, func(s testPackage) bool { return !mine(s) })
	}
	if len(packages) == 0 {
		return nil, refusal(fmt.Errorf("--shard %s: there are only %d packages with tests, so this part is empty: use fewer parts", &o.Share, len(t.All)))
	}
	if slices.Contains(o.Packages, "./...") {
		t.leftOut = otherModules(o.Root)
	}
	return t, t.prepare(ctx, o, packages)
}

// prepare decides how the packages are run: by Ginkgo, by go test, or by both.
func (t *Tests) prepare(ctx context.Context, o Options, packages []testPackage) error {
	suites := slices.DeleteFunc(slices.Clone(packages), func(s testPackage) bool { return s.suite == "" })
	byGo := goTests{o, slices.DeleteFunc(packages, func(s testPackage) bool { return s.suite != "" && len(s.plain) == 0 }), o.Flags, nil}
	if o.Program != "" {
		byGo.kept = &kept{file: o.Program}
	}
	for _, s := range suites {
		t.Suites = append(t.Suites, suiteName(o.Root, s.Dir))
	}
	for _, s := range byGo.packages {
		t.Suites = append(t.Suites, s.ImportPath)
	}
	t.what = fmt.Sprintf("the tests of %s by go test", text.Plural(len(byGo.packages), "package"))
	if t.Format != "Ginkgo JSON" {
		if err := refuse(o.Flags, takenOfGoTest); err != nil {
			return refusal(err)
		}
		t.once = byGo.run
		return nil
	}
	byGo.flags = forGoTest(o.Flags)
	if err := errors.Join(refuse(o.Flags, takenOfGinkgo), distinct(suites)); err != nil {
		return refusal(err)
	}
	if len(suites) == 0 { // this share has no suite, but another one has
		t.once = func(ctx context.Context, tell func(live.News)) (Outcome, error) {
			s, err := byGo.run(ctx, tell)
			return Outcome{Results: &reports.Results{}}.and(s), err
		}
		return nil
	}
	g, err := newGinkgo(ctx, o, suites)
	if err != nil {
		return err
	}
	t.once = g.run
	if len(byGo.packages) == 0 {
		t.what = text.Plural(len(suites), "Ginkgo suite")
		return nil
	}
	t.what = text.Plural(len(suites), "Ginkgo suite") + " and " + t.what
	t.once = func(ctx context.Context, tell func(live.News)) (Outcome, error) {
		s, err := g.run(ctx, tell)
		if err != nil || s.Results == nil || ctx.Err() != nil {
			return s, err
		}
		plain, err := byGo.run(ctx, tell)
		return s.and(plain), err
	}
	return nil
}

// otherModules returns the modules in folders below root, which "./..." does not match.
func otherModules(root string) (names []string) {
	_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error { // unreadable folders are skipped
		base := filepath.Base(name)
		switch {
		case err != nil || name == root:
		case d.IsDir() && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "vendor" || base == "testdata" || base == "node_modules"):
			return filepath.SkipDir
		case base == "go.mod" && filepath.Dir(name) != root:
			if rel, err := filepath.Rel(root, filepath.Dir(name)); err == nil {
				names = append(names, filepath.ToSlash(rel))
			}
		}
		return nil
	})
	return names
}

// LeftOut returns a message that names the modules that were not run, or "".
func (t *Tests) LeftOut() string {
	if len(t.leftOut) == 0 {
		return ""
	}
	const most = 5
	names := strings.Join(t.leftOut[:min(most, len(t.leftOut))], ", ")
	if more := len(t.leftOut) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return text.Plural(len(t.leftOut), "module") + " below this one, which ./... does not reach: " + names + "; call run in each"
}

// and adds the results of tests that go test ran in addition to the specs. They have the label
// [reports.ByGoTest].
func (s Outcome) and(plain Outcome) Outcome {
	s.Problem = cmp.Or(s.Problem, plain.Problem)
	s.Hints = append(s.Hints, plain.Hints...)
	if plain.Results == nil {
		return s
	}
	for _, t := range plain.Results.Specs {
		t.Labels = append(t.Labels, reports.ByGoTest)
		s.Results.Specs = append(s.Results.Specs, t)
	}
	s.Results.Suites = append(s.Results.Suites, plain.Results.Suites...)
	return s
}

// nothingRan returns advice if no spec ran and no failure explains it, or "".
func nothingRan(r *reports.Results) string {
	switch c := r.Counts(); {
	case c.Passed+c.Failed+r.SuiteFailures() > 0:
		return ""
	case c.All() == 0:
		return "there is no spec to run: write one (an It, or a TestXxx), or name other packages"
	}
	return "no spec ran: all of them are skipped or pending: check the filters after --"
}

// Repeat runs all tests k times, or until ctx ends. It returns the results of each run, and all of them
// as one outcome. It calls tell with the progress, from one goroutine at a time.
func (t *Tests) Repeat(ctx context.Context, k int, tell func(live.News)) (every []*reports.Results, all Outcome, err error) {
	for i := range k {
		if ctx.Err() != nil {
			break
		}
		stage := "compiling and running " + t.what
		if k > 1 {
			stage += fmt.Sprintf(", run %d of %d", i+1, k)
		}
		tell(live.News{Stage: stage, Suites: t.Suites, Again: i > 0})
		one, err := t.once(ctx, tell)
		if err != nil {
			return nil, all, err
		}
		if one.Results != nil {
			every = append(every, one.Results)
			if hint := nothingRan(one.Results); hint != "" {
				one.Hints = append(one.Hints, hint)
			}
		}
		all.Problem = cmp.Or(all.Problem, one.Problem)
		all.Focused = all.Focused || one.Focused
		for _, h := range one.Hints {
			if !slices.Contains(all.Hints, h) {
				all.Hints = append(all.Hints, h)
			}
		}
	}
	all.Results = reports.Repeated(every)
	return every, all, nil
}
