package ingest

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"golang.org/x/perf/benchfmt"
)

// goPackage is a package being tested.
type goPackage struct {
	suite   reports.Suite
	tests   []*goTest // in the order of their start
	named   map[string]*goTest
	out     excerpt      // output outside of its tests
	ended   time.Time    // time of its last event
	partial string       // incomplete last line of out
	bench   bytes.Buffer // results of benchmarks, in Go's benchmark format
	benches bool         // a benchmark ran
	told    bool         // a test failed

	// Lines in out and in the output of benchmarks.
	passed bool // "PASS", which the test program prints if all its tests have run
	broke  bool // "FAIL", of the test program
	fail   bool // "FAIL" at the end of a line: other output may precede it without a line break
	ok     bool // "ok" and the import path, of go test
	failed bool // "FAIL" and the import path, of go test
	none   bool // there are no tests to run
}

func newGoPackage(e *goEvent) *goPackage {
	return &goPackage{suite: reports.Suite{Path: e.Package, Started: e.Time}, named: map[string]*goTest{}}
}

// goTest is one test with all its runs; -count asks for several.
type goTest struct {
	name      string
	running   bool
	state     reports.State
	runs      int // number of runs that ended
	failures  int // number of runs that failed
	passes    int // number of runs that passed
	took      time.Duration
	out       excerpt
	partial   string        // incomplete last line of out
	said      reports.State // state according to its output, used if the event is missing
	saidTook  time.Duration // duration according to its output
	verdict   bool          // the last line of out is go test's line on the package
	figures   bool          // out contains the result of a benchmark
	labels    []string
	artifacts string // folder
	attached  []reports.Attachment

	// Numbers of events of its first run, 0 if there is none.
	begin, pause, cont, stop int
}

// add adds a test.
func (p *goPackage) add(name string) *goTest {
	t := &goTest{name: name}
	p.named[name] = t
	p.tests = append(p.tests, t)
	return t
}

// mark records the number of an event of the first run of the test.
func (t *goTest) mark(action string, event int) {
	at := map[string]*int{"run": &t.begin, "pause": &t.pause, "cont": &t.cont, "pass": &t.stop, "skip": &t.stop, "fail": &t.stop}[action]
	if at != nil && *at == 0 {
		*at = event
	}
}

// end ends one run of the test. If one of several runs failed, the test has failed.
func (t *goTest) end(s reports.State, took time.Duration) {
	if t.state == "" || t.state == reports.Skipped || s == reports.Failed {
		t.state = s
	}
	switch s {
	case reports.Failed:
		t.failures++
	case reports.Passed:
		t.passes++
	}
	t.running = false
	t.runs++
	t.took += took
}

func (t *goTest) benchmark() bool { return strings.HasPrefix(t.name, "Benchmark") }

// endsBy reports whether an event that names a test is in fact the end of the package. If a program
// exits while a test runs, test2json attributes to that test the last line of go test and the result
// of the package.
func (p *goPackage) endsBy(e *goEvent) bool {
	if e.Action != "pass" && e.Action != "fail" {
		return false
	}
	t := p.named[e.Test]
	if t == nil || !t.running || t.said != "" || !t.verdict {
		return false
	}
	p.ok = p.ok || e.Action == "pass"
	return true
}

// read searches the lines of an output for results. t is the test that printed it, or nil for output
// outside of tests. An incomplete line is continued by the next output.
func (p *goPackage) read(t *goTest, output string) {
	partial := &p.partial
	if t != nil {
		partial = &t.partial
	}
	if *partial != "" {
		output = *partial + output
		*partial = ""
	}
	for {
		line, rest, ended := strings.Cut(output, "\n")
		if !ended {
			*partial = line[max(0, len(line)-maxPartial):]
			return
		}
		p.line(t, line)
		output = rest
	}
}

// maxPartial is the maximum number of bytes of an incomplete line that are stored. The lines that line
// recognises are shorter, unless the name of a test has thousands of bytes.
const maxPartial = 8 << 10

var (
	// goVerdict is not anchored at the start, since output without a line break may precede it.
	goVerdict   = regexp.MustCompile(`--- (PASS|FAIL|SKIP): (\S+) \((\d+(?:\.\d+)?)s\)$`)
	goBenchLine = regexp.MustCompile(`^(Benchmark\S*\s+\d+\s+[-+.\dInfNa]+ \S|goos: |goarch: |cpu: )`)
)

// line handles a complete line of output.
func (p *goPackage) line(t *goTest, line string) {
	line = strings.TrimSuffix(line, "\r")
	ok, failed := isVerdictOf(line, "ok  ", p.suite.Path), isVerdictOf(line, "FAIL", p.suite.Path)
	if t != nil {
		t.verdict = ok || failed
	}
	if m := goVerdict.FindStringSubmatch(line); m != nil {
		p.said(m[2], m[1], m[3])
	}
	if t != nil && !t.benchmark() {
		return
	}
	switch {
	case goBenchLine.MatchString(line):
		if t != nil {
			t.figures = true
		}
		if p.bench.Len() < maxKept/4 {
			fmt.Fprintln(&p.bench, line)
		}
	case strings.HasSuffix(line, "PASS"):
		p.passed = true
	case line == "FAIL":
		p.broke = true
	case strings.HasPrefix(line, "testing: warning: no tests to run"):
		p.none = true
	}
	p.fail = p.fail || strings.HasSuffix(line, "FAIL")
	p.ok, p.failed = p.ok || ok, p.failed || failed
	p.none = p.none || ok && strings.HasSuffix(line, "[no tests to run]") || strings.Contains(line, "[no test files]") ||
		strings.Contains(line, "\t"+p.suite.Path+"\t\tcoverage: ")
}

// isVerdictOf reports whether a line is go test's result of a package, such as
// "ok  \texample.com/shop\t0.01s".
func isVerdictOf(line, word, pkg string) bool {
	rest, is := strings.CutPrefix(line, word+"\t"+pkg)
	return is && (rest == "" || rest[0] == '\t' || rest[0] == ' ')
}

// said records the result of a test that its output contains. It counts only if the event is missing,
// because a test may print such a line itself. An unknown test is added if its parent is running: its
// first event is missing, too.
func (p *goPackage) said(name, word, took string) {
	t := p.named[name]
	if t == nil {
		if up := above(name, func(name string) bool { return p.named[name] != nil }); up == "" || !p.named[up].running {
			return
		}
		t = p.add(name)
		t.running = true
	}
	t.said = map[string]reports.State{"PASS": reports.Passed, "FAIL": reports.Failed, "SKIP": reports.Skipped}[word]
	if s, err := strconv.ParseFloat(took, 64); err == nil && sane(s) {
		t.saidTook = text.Seconds(s)
	}
}

// message returns the output of the test without the lines of package testing.
func (t *goTest) message() string {
	text := goMessage(t.out.String())
	if t.artifacts != "" && t.attached == nil {
		text += "\nartifacts: " + t.artifacts
	}
	return strings.TrimSpace(text)
}

// finish adds the results of a package. action is that of its last event, or "" if that is missing.
func (g *goTestReader) finish(p *goPackage, action, failedBuild string) error {
	delete(g.packages, p.suite.Path)
	if action == "" && p.ok && p.passed {
		action = "pass"
		g.missing++
	}
	fail := func(node, message string) error {
		place := goPlace
		if node == "build" {
			place = goSource
		}
		file, line := g.c.goPosition(p.suite.Path, place.FindStringSubmatch(message))
		return g.c.fail(&p.suite, node, message, file, line)
	}
	g.leaveOutInner(p, action)
	specs, err := g.tests(p, action, fail)
	if err != nil {
		return err
	}
	build := g.builds[failedBuild]
	if build != nil {
		build.named = true
	}
	switch {
	case action == "":
		err = fail("package", "its result is missing: the file or the run of go test was cut short\n"+p.out.String())
	case failedBuild != "":
		text := ""
		if build != nil {
			text = build.out.String()
		}
		err = fail("build", text+p.out.String())
	case action == "fail" && !p.told: // it failed outside of its tests, or its build failed
		node, text := "package", p.out.String()
		if strings.Contains(text, " [build failed]") || strings.Contains(text, " [setup failed]") { // before Go 1.24
			node, text = "build", g.stray.about(p.suite.Path)+text
		}
		err = fail(node, text)
	case action == "pass":
		err = p.suspect(fail)
	}
	if err != nil {
		return err
	}
	if p.bench.Len() > 0 {
		if err := g.benchmarks(p); err != nil {
			return err
		}
	}
	if action == "pass" && !p.benches && len(p.tests) == 0 && len(p.suite.Failures) == 0 && !p.none && !p.passed {
		g.silent = append(g.silent, p.suite.Path)
	}
	run := packageRun{pkg: p.suite.Path, started: p.suite.Started, failed: p.told || len(p.suite.Failures) > 0}
	if err := g.ran(run, specs, p.ended); err != nil {
		return err
	}
	if len(p.suite.Failures) > 0 || len(p.tests) > 0 {
		return g.c.suite(p.suite)
	}
	return nil
}

// suspect finds what speaks against a package that passed.
func (p *goPackage) suspect(fail func(node, message string) error) error {
	switch {
	case p.told || len(p.suite.Failures) > 0:
		return nil
	case p.failed, p.broke:
		return fail("package", "go test reports that it passed, but its output says that it failed\n"+p.out.String())
	case p.ok && !p.passed && !p.none:
		return fail("package", "its test program ended without printing PASS, so not all of its tests have run: it exited early (os.Exit in an init function or in a test, or a TestMain that does not call m.Run)\n"+p.out.String())
	}
	return nil
}

// tests returns the specs of a package that has ended.
func (g *goTestReader) tests(p *goPackage, action string, fail func(node, message string) error) ([]reports.Spec, error) {
	failed := map[string]bool{}
	cut := action == "pass" && p.ok && !p.passed // the program exited while a test ran
	// lost: the test did not end, although its package passed.
	lost := func(t *goTest) bool { return t.running && action == "pass" && !cut && !t.benchmark() }
	for _, t := range p.tests {
		if t.said != "" && (t.running || t.state == "") {
			t.end(t.said, t.saidTook)
		}
		if t.benchmark() { // go test reports the end of a benchmark only if it fails
			p.benches, t.running = true, t.running && action != "pass" && !t.figures
		}
		failed[t.name] = t.state == reports.Failed || t.running && !lost(t)
		p.told = p.told || failed[t.name]
	}
	family := p.family(failed)
	var specs []reports.Spec
	for _, t := range p.tests {
		var err error
		switch {
		case lost(t):
			err = fail(t.name, "its result is missing, although it started and its package passed")
		case t.state == "" && !t.running:
		case failed[t.name] && !family.failed[t.name] && (t.benchmark() || family.parent[t.name]):
			err = fail(t.name, t.message())
		case !family.parent[t.name] && !t.benchmark():
			specs = append(specs, g.spec(p, t, family))
		}
		if err != nil {
			return nil, err
		}
	}
	for _, t := range p.tests {
		g.c.kept -= t.out.size()
	}
	return specs, nil
}

func (g *goTestReader) spec(p *goPackage, t *goTest, family subtests) reports.Spec {
	if file, _, ok := g.c.located(t.artifacts); ok && file != "" {
		t.attached = g.c.attach(nil, "artifacts", "", t.artifacts)
	}
	s := reports.Spec{Suite: p.suite.Path, Leaf: t.name, State: t.state, Attempts: t.runs, Duration: t.took, Labels: t.labels, Attachments: t.attached}
	switch {
	case t.running:
		s.State, s.Detail, s.Message = reports.Failed, "unfinished", cmp.Or(t.message(), "its result is missing: the test program stopped while it ran")
		if t.verdict {
			s.Message = "its test program exited while it ran\n" + s.Message
		}
		s.Attempts++
	case t.state == reports.Skipped:
		s.Message, s.Attempts = t.message(), 0
	case t.state == reports.Failed:
		s.Message = t.message()
		for up := family.up(t.name); up != "" && s.Message == ""; up = family.up(up) {
			s.Message = p.named[up].message() // the output of a panic is attributed to the parent
		}
	case t.artifacts != "" && t.attached == nil:
		g.stored++
	}
	g.c.goWhere(&s)
	if s.State == reports.Failed && t.passes > 0 { // with -count
		s.Detail = reports.BothWays
		s.Message = fmt.Sprintf("failed in %s runs\n\n%s", reports.Rate{Good: t.failures, Of: t.failures + t.passes}, s.Message)
	}
	return s
}

// benchmarks adds the results of benchmarks that a package printed.
func (g *goTestReader) benchmarks(p *goPackage) error {
	r := benchfmt.NewReader(bytes.NewReader(append([]byte("pkg: "+p.suite.Path+"\n"), p.bench.Bytes()...)), "")
	for r.Scan() {
		if rec, is := r.Result().(*benchfmt.Result); is {
			if err := g.c.takeBenchmark(&g.bench, rec); err != nil {
				return err
			}
		}
	}
	return r.Err()
}
