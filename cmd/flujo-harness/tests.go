package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// tests are what run runs: the Ginkgo suites of some packages, with what these have beside
// their specs for go test, or, where there is no suite, their tests for go test.
type tests struct {
	what   string   // for people
	format string   // of what is read
	all    []string // import paths of all shards
	once   func(ctx context.Context, tell func(string)) (suitesRun, error)
	hints  []string // what is not run
}

// tests finds what to run, and all that can be wrong with it before anything runs.
func (p project) tests(ctx context.Context, j *job) (*tests, error) {
	if !p.module {
		return nil, usage(errors.New("there is no go.mod here or above: call run inside a Go module, or use flujo-harness bench"))
	}
	if j.runs < 1 {
		return nil, usage(fmt.Errorf("--runs %d: use 1 or more", j.runs))
	}
	tags, _ := takeFlag(j.flags, "tags")
	packages, err := p.testPackages(ctx, j.packages, tags)
	if err != nil {
		return nil, usage(err)
	}
	suites := slices.DeleteFunc(slices.Clone(packages), func(t testPackage) bool { return t.suite == "" })
	plain := len(suites) == 0
	if plain {
		suites = packages
	}
	t := &tests{}
	for _, s := range suites {
		t.all = append(t.all, s.ImportPath)
	}
	slices.Sort(t.all)
	suites = slices.DeleteFunc(suites, func(s testPackage) bool { return !j.share.has(slices.Index(t.all, s.ImportPath)) })
	if len(suites) == 0 {
		return nil, usage(fmt.Errorf("--shard %s: there are only %d suites, so this part is empty: use fewer parts", &j.share, len(t.all)))
	}
	if plain {
		t.what, t.format, t.once = fmt.Sprintf("the tests of %d package(s) by go test", len(suites)), "go test -json", goTests{p, suites, j.flags}.run
		if err := refuse(j.flags, takenOfGoTest); err != nil {
			return nil, usage(err)
		}
		return t, nil
	}
	t.what, t.format = fmt.Sprintf("%d Ginkgo suite(s)", len(suites)), "Ginkgo JSON"
	if left := len(packages) - len(t.all); left > 0 {
		t.hints = append(t.hints, fmt.Sprintf("%d package(s) have tests for go test only and were left out: name them without the suites to run them", left))
	}
	if err := errors.Join(refuse(j.flags, takenOfGinkgo), p.distinct(suites)); err != nil {
		return nil, usage(err)
	}
	g, err := newGinkgo(ctx, p, suites, j.flags)
	if err != nil {
		return nil, err
	}
	t.once = g.run
	beside := goTests{p, slices.DeleteFunc(slices.Clone(suites), func(s testPackage) bool { return !s.beside }), forGoTest(j.flags)}
	if len(beside.packages) > 0 {
		t.once = func(ctx context.Context, tell func(string)) (suitesRun, error) {
			s, err := g.run(ctx, tell)
			if err != nil || s.results == nil || ctx.Err() != nil {
				return s, err
			}
			tell("the tests beside the specs")
			plain, err := beside.run(ctx, tell)
			return s.and(plain), err
		}
	}
	return t, nil
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
	all.results, all.hints = reports.Repeated(every), append(all.hints, t.hints...)
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
