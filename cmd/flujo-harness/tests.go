package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// tests are what run runs: the Ginkgo suites of some packages or, where there is none,
// their tests for go test.
type tests struct {
	what   string   // for people
	format string   // of what is read
	all    []string // import paths of all shards
	once   func(context.Context) (suitesRun, error)
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
		t.what += fmt.Sprintf(" (%d package(s) without one left out: name them alone to run them by go test)", left)
	}
	if err := errors.Join(refuse(j.flags, takenOfGinkgo), p.distinct(suites)); err != nil {
		return nil, usage(err)
	}
	g, err := newGinkgo(ctx, p, suites, j.flags)
	if err != nil {
		return nil, err
	}
	t.once = g.run
	return t, nil
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
		one, err := t.once(ctx)
		if err != nil {
			return nil, all, err
		}
		if one.results != nil {
			every = append(every, one.results)
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
