package bisect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/live"
	"github.com/flujo/flujo-harness/reports/runner"
	"github.com/flujo/flujo-harness/thresholds"
)

// past holds the recorded results of one spec.
type past struct {
	spec   reports.Spec
	format string // format of the run that has the spec
	seen   []observation
}

// observation is the result of one recorded run of the spec, at a known commit without
// uncommitted changes.
type observation struct {
	commit        string
	passes, fails int
}

// pastRuns is the number of recorded runs that are read.
const pastRuns = 500

// findSpec finds a spec by its name in the recorded runs, with its results, oldest first.
func findSpec(ctx context.Context, h *history.History, name string) (*past, error) {
	runs, err := h.Latest(ctx, pastRuns)
	if err != nil {
		return nil, cli.Fault(err)
	}
	p, err := namedSpec(runs, name)
	if err != nil {
		return nil, cli.Usage(err)
	}
	key := p.spec.Key()
	for _, r := range slices.Backward(runs) {
		if r.Suites == nil || r.Commit == "" || r.Dirty || r.Origin.Fork {
			continue
		}
		for i := range r.Suites.Specs {
			if s := &r.Suites.Specs[i]; s.Key() == key {
				if o, ok := observe(s); ok {
					o.commit = r.Commit
					p.seen = append(p.seen, o)
				}
			}
		}
	}
	return p, nil
}

func observe(s *reports.Spec) (o observation, ok bool) {
	switch {
	case s.BothWays(), s.State == reports.Passed && s.Retried:
		return observation{passes: 1, fails: 1}, true
	case s.State == reports.Passed:
		return observation{passes: 1}, true
	case s.State == reports.Failed:
		return observation{fails: 1}, true
	}
	return o, false
}

// namedSpec finds the spec with the name, or the only spec whose name contains it, in the newest
// run that has one.
func namedSpec(runs []reports.Run, name string) (*past, error) {
	for _, whole := range []bool{true, false} {
		for _, r := range runs {
			if r.Suites == nil {
				continue
			}
			var found []reports.Spec
			for _, s := range r.Suites.Specs {
				if is := s.Name() == name || s.Leaf == name; is || !whole && strings.Contains(s.Name(), name) {
					found = append(found, s)
				}
			}
			if len(found) > 1 {
				return nil, fmt.Errorf("bisect: %q is %s: give the whole name of one", name, records.FirstNames(found))
			}
			if len(found) == 1 {
				return &past{spec: found[0], format: r.Format}, nil
			}
		}
	}
	return nil, fmt.Errorf("bisect: no recorded run has a spec %q: give its name as the report prints it, or run it once with flujo-harness run", name)
}

// lastGood returns the newest commit that passed and had no failure in the ten results before it,
// or else the oldest one that passed. A single pass of a flaky spec is weak evidence. Only results
// at the given commits count; the first of them, which is the bad end, is not returned.
func (p *past) lastGood(commits []string) string {
	const clean = 10
	sorted := slices.Sorted(slices.Values(commits))
	var seen []observation
	for _, o := range p.seen {
		if i, _ := slices.BinarySearch(sorted, o.commit); i < len(sorted) && reports.SameCommit(sorted[i], o.commit) { // an abbreviation sorts directly before
			seen = append(seen, o)
		}
	}
	oldest := ""
	for i := len(seen) - 1; i >= 0; i-- {
		if seen[i].fails > 0 || reports.SameCommit(seen[i].commit, commits[0]) {
			continue
		}
		oldest = seen[i].commit
		if !slices.ContainsFunc(seen[max(0, i-clean):i], func(o observation) bool { return o.fails > 0 }) {
			return oldest
		}
	}
	return oldest
}

// trees holds the commits that are checked out, each once.
type trees struct {
	b      *bisecting
	tmp    string
	remove []func() error
	at     map[string]revisions.Checkout
}

func (b *bisecting) newTrees() (*trees, error) {
	if err := revisions.ForgetTrees(b.cmd.Context(), b.project); err != nil {
		return nil, cli.Usage(err)
	}
	tmp, removeTmp, err := workdir.Temporary(os.TempDir(), revisions.TreesPrefix)
	if err != nil {
		return nil, cli.Fault(err)
	}
	return &trees{b: b, tmp: tmp, remove: []func() error{removeTmp}, at: map[string]revisions.Checkout{}}, nil
}

func (t *trees) checkout(ctx context.Context, commit string) (revisions.Checkout, error) {
	if c, ok := t.at[commit]; ok {
		return c, nil
	}
	c, remove, err := revisions.CheckOut(ctx, t.b.project, commit, filepath.Join(t.tmp, fmt.Sprint("tree", len(t.at))))
	if err != nil {
		return c, &untestable{err.Error()}
	}
	t.at[commit], t.remove = c, append(t.remove, remove)
	return c, nil
}

func (t *trees) close() (err error) {
	for _, remove := range slices.Backward(t.remove) {
		err = errors.Join(err, remove())
	}
	return err
}

// specTrial runs a spec.
type specTrial struct {
	*trees
	spec  reports.Spec
	pkg   string
	flags []string
	guard []string
	tests map[string]*runner.Tests // by commit
}

func (b *bisecting) specTrial(s reports.Spec, format string) (trial, error) {
	t := &specTrial{spec: s, pkg: s.Suite, tests: map[string]*runner.Tests{}}
	if slices.Contains(s.Labels, reports.ByGoTest) {
		format = reports.FormatGoTest
	}
	full := strings.Join(slices.DeleteFunc(append(slices.Clone(s.Containers), s.Leaf), func(t string) bool { return t == "" }), " ")
	switch format {
	case reports.FormatGinkgo:
		if first, _, _ := strings.Cut(s.Suite, "/"); !path.IsAbs(s.Suite) && !strings.Contains(first, ".") {
			t.pkg = "./" + s.Suite
		}
		t.flags = []string{"--focus=" + regexp.QuoteMeta(full) + "$"}
	case reports.FormatGoTest:
		var parts []string
		for _, text := range append(slices.Clone(s.Containers), s.Leaf) {
			for part := range strings.SplitSeq(text, "/") {
				parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
			}
		}
		t.flags = []string{"-run=" + strings.Join(parts, "/")}
	default:
		return nil, cli.Usage(fmt.Errorf("bisect: %s is of a file in the format %s: only specs that flujo-harness run ran can be run again", s.Name(), format))
	}
	var err error
	if t.guard, err = cli.GuardLine(); err != nil {
		return nil, cli.Fault(err)
	}
	t.trees, err = b.newTrees()
	return t, err
}

// find finds the tests at a commit once: its checkout does not change, and so its test program is
// built once, however often the spec runs there.
func (t *specTrial) find(ctx context.Context, commit string) (tests *runner.Tests, err error) {
	if tests, ok := t.tests[commit]; ok {
		return tests, nil
	}
	c, err := t.checkout(ctx, commit)
	if err != nil {
		return nil, err
	}
	back, err := enter(c.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, back()) }()
	program := filepath.Join(t.tmp, fmt.Sprintf("spec%d.test%s", len(t.tests), child.Suffix()))
	tests, err = runner.Find(ctx, runner.Options{Root: c.Dir, Packages: []string{t.pkg}, Flags: t.flags, Guard: t.guard, Program: program})
	if refused := new(runner.RequestError); errors.As(err, &refused) {
		return nil, &untestable{err.Error()}
	}
	if err == nil {
		t.tests[commit] = tests
	}
	return tests, err
}

func (t *specTrial) at(ctx context.Context, commit string) (failed bool, err error) {
	tests, err := t.find(ctx, commit)
	if err != nil {
		return false, err
	}
	_, out, err := tests.Repeat(ctx, 1, func(live.News) {})
	if err != nil {
		return false, err
	}
	if out.Results != nil {
		key := t.spec.Key()
		for i := range out.Results.Specs {
			if s := &out.Results.Specs[i]; s.Key() == key {
				if o, ok := observe(s); ok {
					return o.fails > 0, nil
				}
				return false, &untestable{"the spec is skipped there"}
			}
		}
		for _, s := range out.Results.Suites {
			for _, f := range s.Failures {
				first, _, _ := strings.Cut(f.Message, "\n")
				return false, &untestable{"its suite fails there: " + first}
			}
		}
	}
	if out.Problem != "" {
		return false, &untestable{out.Problem}
	}
	return false, &untestable{"there is no such spec there"}
}

// benchTrial compares a benchmark with the good end by running the compare command.
type benchTrial struct {
	b        *bisecting
	dir, exe string
	name     string
	remove   func() error    // removes dir
	certain  map[string]bool // by commit, whether it is bad, where another comparison would end alike
}

func (b *bisecting) benchmark(name string) (trial, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, cli.Fault(err)
	}
	dir, remove, err := workdir.Temporary(os.TempDir(), "flujo-bisect-")
	if err != nil {
		return nil, cli.Fault(err)
	}
	return &benchTrial{b, dir, exe, name, remove, map[string]bool{}}, nil
}

func (t *benchTrial) close() error { return t.remove() }

func (t *benchTrial) at(ctx context.Context, commit string) (failed bool, err error) {
	if commit == t.b.commits[0] {
		return false, nil // the other commits are compared with it
	}
	if failed, ok := t.certain[commit]; ok {
		return failed, nil
	}
	file := filepath.Join(t.dir, "compared.json")
	var parts []string
	for part := range strings.SplitSeq(t.name, "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	args := []string{"compare", t.b.commits[0], commit, "--bench", strings.Join(parts, "/"), "--margin", fmt.Sprint(t.b.margin), "--time", compareTime.String(), "--json", file, "--db", filepath.Join(t.dir, "history.db")}
	if t.b.pkg != "" {
		args = append(args, "--pkg", t.b.pkg)
	}
	cmd := exec.CommandContext(ctx, t.exe, args...)
	_, err = child.Output(cmd)
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() > cli.ExitBroken) {
		return false, &untestable{child.Explained(err).Error()}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	var result struct{ Verdicts []thresholds.Verdict }
	if err := json.Unmarshal(text, &result); err != nil {
		return false, err
	}
	worst := thresholds.Held
	for _, v := range result.Verdicts {
		worst = cli.Worse(worst, v.Outcome)
		if v.Outcome == thresholds.Broken && v.By == thresholds.ByCounts {
			t.certain[commit] = true
		}
	}
	if len(result.Verdicts) == 0 { // all test binaries are identical
		t.certain[commit] = false
	}
	switch worst {
	case thresholds.Broken:
		return true, nil
	case thresholds.Held:
		return false, nil
	}
	return false, &untestable{"the comparison is inconclusive"}
}
