package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// tests are what run runs: the Ginkgo suites of the packages by Ginkgo, and all other
// tests of theirs by go test.
type tests struct {
	what    string   // for people
	format  string   // of what is read
	all     []string // import paths of all shards
	once    func(ctx context.Context, tell func(string)) (suitesRun, error)
	leftOut []string // what the patterns do not reach, for people
}

// tests finds what to run, and all that can be wrong with it before anything runs.
func (p project) tests(ctx context.Context, j *job) (*tests, error) {
	if !p.module {
		return nil, usage(errors.New("there is no go.mod here or above: call run inside a Go module, or use flujo-harness bench"))
	}
	if j.runs < 1 {
		return nil, usage(fmt.Errorf("--runs %d: use 1 or more", j.runs))
	}
	packages, err := p.testPackages(ctx, j.packages, j.flags)
	if err != nil {
		return nil, usage(err)
	}
	t := &tests{format: "go test -json"}
	for _, s := range packages {
		t.all = append(t.all, s.ImportPath)
		if s.suite != "" {
			t.format = "Ginkgo JSON"
		}
	}
	slices.Sort(t.all)
	plain := t.format != "Ginkgo JSON"
	packages = slices.DeleteFunc(packages, func(s testPackage) bool { return !j.share.has(slices.Index(t.all, s.ImportPath)) })
	if len(packages) == 0 {
		return nil, usage(fmt.Errorf("--shard %s: there are only %d packages with tests, so this part is empty: use fewer parts", &j.share, len(t.all)))
	}
	if slices.Contains(j.packages, "./...") {
		t.leftOut = p.otherModules()
	}
	suites := slices.DeleteFunc(slices.Clone(packages), func(s testPackage) bool { return s.suite == "" })
	byGo := goTests{p, slices.DeleteFunc(packages, func(s testPackage) bool { return s.suite != "" && len(s.plain) == 0 }), j.flags}
	t.what = fmt.Sprintf("the tests of %s by go test", plural(int64(len(byGo.packages)), "package"))
	if plain {
		if err := refuse(j.flags, takenOfGoTest); err != nil {
			return nil, usage(err)
		}
		t.once = byGo.run
		return t, nil
	}
	byGo.flags = forGoTest(j.flags)
	if err := errors.Join(refuse(j.flags, takenOfGinkgo), p.distinct(suites)); err != nil {
		return nil, usage(err)
	}
	if len(suites) == 0 { // of this shard
		t.once = func(ctx context.Context, tell func(string)) (suitesRun, error) {
			s, err := byGo.run(ctx, tell)
			return suitesRun{results: &reports.Results{}}.and(s), err
		}
		return t, nil
	}
	g, err := newGinkgo(ctx, p, suites, j.flags)
	if err != nil {
		return nil, err
	}
	t.once = g.run
	if len(byGo.packages) == 0 {
		t.what = plural(int64(len(suites)), "Ginkgo suite")
		return t, nil
	}
	t.what = plural(int64(len(suites)), "Ginkgo suite") + " and " + t.what
	t.once = func(ctx context.Context, tell func(string)) (suitesRun, error) {
		s, err := g.run(ctx, tell)
		if err != nil || s.results == nil || ctx.Err() != nil {
			return s, err
		}
		tell("go test")
		plain, err := byGo.run(ctx, tell)
		return s.and(plain), err
	}
	return t, nil
}

// otherModules names the modules below that of the project, which "./..." does not reach.
func (p project) otherModules() (names []string) {
	_ = filepath.WalkDir(p.root, func(name string, d fs.DirEntry, err error) error { // what cannot be read has no module
		base := filepath.Base(name)
		switch {
		case err != nil || name == p.root:
		case d.IsDir() && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "vendor" || base == "testdata" || base == "node_modules"):
			return filepath.SkipDir
		case base == "go.mod" && filepath.Dir(name) != p.root:
			if rel, err := filepath.Rel(p.root, filepath.Dir(name)); err == nil {
				names = append(names, filepath.ToSlash(rel))
			}
		}
		return nil
	})
	return names
}

// leftOutLine says what was not run, "" where there is nothing.
func leftOutLine(leftOut []string) string {
	if len(leftOut) == 0 {
		return ""
	}
	const most = 5
	names := strings.Join(leftOut[:min(most, len(leftOut))], ", ")
	if more := len(leftOut) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return plural(int64(len(leftOut)), "module") + " below this one, which ./... does not reach: " + names + "; call run in each"
}

// and adds the tests that go test ran beside the specs.
func (s suitesRun) and(plain suitesRun) suitesRun {
	s.problem = cmp.Or(s.problem, plain.problem)
	s.hints = append(s.hints, plain.hints...)
	if plain.results == nil {
		return s
	}
	for _, t := range plain.results.Specs {
		t.Labels = append(t.Labels, reports.ByGoTest)
		s.results.Specs = append(s.results.Specs, t)
	}
	s.results.Suites = append(s.results.Suites, plain.results.Suites...)
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

// repeat runs all of it k times, until it is interrupted. It returns what each time
// gave, and all of it as one.
func (t *tests) repeat(ctx context.Context, k int, progress *progress) (every []*reports.Results, all suitesRun, err error) {
	for i := range k {
		if ctx.Err() != nil {
			break
		}
		stage := "running " + t.what
		if k > 1 {
			stage += fmt.Sprintf(", run %d of %d", i+1, k)
		}
		progress.set(stage, "")
		one, err := t.once(ctx, func(far string) { progress.set(stage, far) })
		if err != nil {
			return nil, all, err
		}
		if one.results != nil {
			every = append(every, one.results)
			if hint := nothingRan(one.results); hint != "" {
				one.hints = append(one.hints, hint)
			}
		}
		if all.problem == "" {
			all.problem = one.problem
		}
		all.focused = all.focused || one.focused
		for _, h := range one.hints {
			if !slices.Contains(all.hints, h) {
				all.hints = append(all.hints, h)
			}
		}
	}
	all.results = reports.Repeated(every)
	return every, all, nil
}

// maxFlaky is the most flaky specs that are named: the report has all of them.
const maxFlaky = 10

// flaky tells of the specs that passed and failed in the runs of --runs.
func flaky(r *reports.Results) (lines []string) {
	if r == nil {
		return nil
	}
	more := 0
	for i := range r.Specs {
		s := &r.Specs[i]
		switch {
		case s.Detail != reports.BothWays:
		case len(lines) < maxFlaky:
			rate, _, _ := strings.Cut(s.Message, "\n")
			lines = append(lines, "flaky: "+reports.Visible(s.Name()+": "+rate))
		default:
			more++
		}
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("flaky: %d more: see the report", more))
	}
	return lines
}
