// Package runner runs the tests of a Go module in child processes and reads what they report:
// Ginkgo suites by the Ginkgo that the module requires, all other tests by go test. A suite
// whose process is killed keeps the specs that had ended.
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

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/reports/live"
)

// Options choose the tests to run.
type Options struct {
	Root     string   // folder of go.mod
	Packages []string // patterns as for go list, relative to the working folder
	Flags    []string // for Ginkgo, or for go test where no package has a suite
	Share    Share    // zero: all packages

	// Elsewhere is the folder for the command of Ginkgo and for logs where the module cannot be
	// written to; "" makes that an error.
	Elsewhere string

	// Only are the packages to run, by import path or by folder relative to Root, and of each of
	// them which tests; nil: all.
	Only map[string]Only

	// Seconds is how long packages take, by import path or folder, for Share; nil: not known.
	Seconds map[string]float64

	// Guard is the command line of a process that calls [child.ServeGuard]: it ends the
	// tests if this process is killed.
	//
	// [child.ServeGuard]: https://pkg.go.dev/github.com/flujo/flujo-harness/harness/child#ServeGuard
	Guard []string
}

// folder is where the command of Ginkgo and the logs are kept.
func (o *Options) folder() (string, error) {
	dir, err := harness.Folder(o.Root)
	if err == nil {
		err = harness.Writable(dir)
	}
	if err != nil && o.Elsewhere != "" {
		dir, err = o.Elsewhere, os.MkdirAll(o.Elsewhere, 0o755)
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir) // commands run in the folder of the module
}

// RequestError says that the tests cannot be run as they were asked for: the caller has to
// change the packages, the flags or the share.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

func refusal(err error) error { return &RequestError{err} }

// Outcome is what a run of the tests yields.
type Outcome struct {
	Results *reports.Results // nil where Problem says why there are none
	Problem string           // why the results must not be trusted, even if every test passed
	Focused bool             // Ginkgo ended with the exit code of programmatic focus
	Hints   []string         // what to do, beyond the summary
}

// Tests are the tests to run.
type Tests struct {
	Format string   // of what is read: "Ginkgo JSON" or "go test -json"
	All    []string // sorted import paths of the packages of all shares
	Suites []string // of this share, as results name them

	Dealt *reports.Dealt // the part of All that is run; nil where there are no parts

	what    string // for people
	once    func(ctx context.Context, tell func(live.News)) (Outcome, error)
	leftOut []string // modules that the patterns do not reach
}

// Find finds the tests and all that can be wrong with the request before anything runs:
// that is a [*RequestError].
func Find(ctx context.Context, o Options) (*Tests, error) {
	packages, err := testPackages(ctx, o.Packages, o.Flags)
	if err != nil {
		return nil, refusal(err)
	}
	if packages = o.choose(packages); len(packages) == 0 {
		return nil, refusal(errors.New("none of the packages that were chosen is among those that were named and has tests: name others, or none"))
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

// prepare chooses how the packages are run.
func (t *Tests) prepare(ctx context.Context, o Options, packages []testPackage) error {
	suites := slices.DeleteFunc(slices.Clone(packages), func(s testPackage) bool { return s.suite == "" })
	byGo := goTests{o, slices.DeleteFunc(packages, func(s testPackage) bool { return s.suite != "" && len(s.plain) == 0 }), o.Flags}
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
	if len(suites) == 0 { // of this share
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

// otherModules names the modules below root, which "./..." does not reach.
func otherModules(root string) (names []string) {
	_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error { // what cannot be read has no module
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

// LeftOut says which modules were not run, "" where there are none.
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

// and adds the tests that go test ran in addition to the specs.
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

// nothingRan is what to do where no spec ran, and nothing says why.
func nothingRan(r *reports.Results) string {
	switch c := r.Counts(); {
	case c.Passed+c.Failed+r.SuiteFailures() > 0:
		return ""
	case c.All() == 0:
		return "there is no spec to run: write one (an It, or a TestXxx), or name other packages"
	}
	return "no spec ran: all of them are skipped or pending: look at the filters behind --"
}

// Repeat runs all tests k times, or until ctx ends. It returns the results of each time, and
// all of them as one outcome. tell is called with what is new, by one goroutine at a time.
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
