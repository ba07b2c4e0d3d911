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

// goPackage is a package while it is tested.
type goPackage struct {
	suite   reports.Suite
	tests   []*goTest // in the order of their start
	named   map[string]*goTest
	out     excerpt
	ended   time.Time    // of its last event
	partial string       // the beginning of a line that it prints outside of tests
	bench   bytes.Buffer // results of benchmarks, in their format
	benches bool         // a benchmark ran
	told    bool         // a test failed

	// What it printed outside of its tests.
	passed bool // PASS: its test program came to its end
	broke  bool // FAIL, of the test program
	fail   bool // FAIL at the end of a line: of the test program, or of what printed before it without a line break
	ok     bool // "ok", of go test
	failed bool // "FAIL" with its name, of go test
	none   bool // that there is no test to run
}

func newGoPackage(e *goEvent) *goPackage {
	return &goPackage{suite: reports.Suite{Path: e.Package, Started: e.Time}, named: map[string]*goTest{}}
}

// goTest is one test, with all its repeats.
type goTest struct {
	name      string
	running   bool
	state     reports.State
	runs      int
	failures  int // of the runs
	passes    int
	took      time.Duration
	out       excerpt
	partial   string        // the beginning of a line that it prints
	said      reports.State // how it ended by what is printed, where the event is missing
	saidTook  time.Duration
	verdict   bool // the last line that it printed is go test's, of the package
	figures   bool // it printed the result of a benchmark
	labels    []string
	artifacts string // folder
	attached  []reports.Attachment

	// Numbers of events of its first run, 0 where there is none.
	begin, pause, cont, stop int
}

// add adds a test that is not there yet.
func (p *goPackage) add(name string) *goTest {
	t := &goTest{name: name}
	p.named[name] = t
	p.tests = append(p.tests, t)
	return t
}

// mark notes when the first run of the test had an event.
func (t *goTest) mark(action string, event int) {
	at := map[string]*int{"run": &t.begin, "pause": &t.pause, "cont": &t.cont, "pass": &t.stop, "skip": &t.stop, "fail": &t.stop}[action]
	if at != nil && *at == 0 {
		*at = event
	}
}

// end ends one run of the test: of several, a failure stays.
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

// endsBy reports whether an event that names a test is the end of the package. A program
// that exits while a test runs leaves go test with that test at hand: it reports the
// result of the package by its name, after its own last line.
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

// read looks in an output for what counts, line by line: t is the test that printed it,
// nil for what was printed outside of tests.
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

// maxPartial is the most bytes of a line without an end that are kept: test2json cuts
// longer ones, and a name of a test is hardly ever that long.
const maxPartial = 8 << 10

var (
	// goVerdict may stand behind a text that has no line break of its own.
	goVerdict   = regexp.MustCompile(`--- (PASS|FAIL|SKIP): (\S+) \((\d+(?:\.\d+)?)s\)$`)
	goBenchLine = regexp.MustCompile(`^(Benchmark\S*\s+\d+\s+[-+.\dInfNa]+ \S|goos: |goarch: |cpu: )`)
)

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

// isVerdictOf reports whether a line is go test's last one of a package, as
// "ok  \texample.com/shop\t0.01s".
func isVerdictOf(line, word, pkg string) bool {
	rest, is := strings.CutPrefix(line, word+"\t"+pkg)
	return is && (rest == "" || rest[0] == '\t' || rest[0] == ' ')
}

// said keeps what a text says of the end of a test. It counts where no event does: a
// test may print what it likes. A test that is not known is one whose beginning was
// swallowed, too, where the test above it has no end yet.
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

// message is what the test printed itself.
func (t *goTest) message() string {
	text := goMessage(t.out.String())
	if t.artifacts != "" && t.attached == nil {
		text += "\nartifacts: " + t.artifacts
	}
	return strings.TrimSpace(text)
}

// finish takes over a package that has ended by an action, "" for one that has not.
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
		err = fail("package", "it has no end in the file: the file was cut short, or go test was\n"+p.out.String())
	case failedBuild != "":
		text := ""
		if build != nil {
			text = build.out.String()
		}
		err = fail("build", text+p.out.String())
	case action == "fail" && !p.told: // it died outside of its tests, or could not be built
		node, text := "package", p.out.String()
		if strings.Contains(text, " [build failed]") || strings.Contains(text, " [setup failed]") { // of Go 1.23
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
		return fail("package", "go test reports that it passed, and its own output that it failed\n"+p.out.String())
	case p.ok && !p.passed && !p.none:
		return fail("package", "its test program ended without the word PASS, so not all of its tests have run: it exits before (os.Exit in an init function or in a test, or a TestMain that does not call m.Run)\n"+p.out.String())
	}
	return nil
}

// tests returns the specs of a package that has ended.
func (g *goTestReader) tests(p *goPackage, action string, fail func(node, message string) error) ([]reports.Spec, error) {
	failed := map[string]bool{}
	cut := action == "pass" && p.ok && !p.passed // the program ended while a test ran
	lost := func(t *goTest) bool { return t.running && action == "pass" && !cut && !t.benchmark() }
	for _, t := range p.tests {
		if t.said != "" && (t.running || t.state == "") {
			t.end(t.said, t.saidTook)
		}
		if t.benchmark() { // it has an end only where it fails
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
			err = fail(t.name, "it began and has no end, and its package passed: its result is missing from the file")
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
		s.State, s.Detail, s.Message = reports.Failed, "unfinished", cmp.Or(t.message(), "it began and has no end: its program stopped before")
		if t.verdict {
			s.Message = "its program exited while it ran\n" + s.Message
		}
		s.Attempts++
	case t.state == reports.Skipped:
		s.Message, s.Attempts = t.message(), 0
	case t.state == reports.Failed:
		s.Message = t.message()
		for up := family.up(t.name); up != "" && s.Message == ""; up = family.up(up) {
			s.Message = p.named[up].message() // of a panic, which is reported of the test above
		}
	case t.artifacts != "" && t.attached == nil:
		g.stored++
	}
	g.c.goWhere(&s)
	if s.State == reports.Failed && t.passes > 0 { // of the repeats of -count
		s.Detail = reports.BothWays
		s.Message = fmt.Sprintf("failed in %s runs\n\n%s", reports.Rate{Good: t.failures, Of: t.failures + t.passes}, s.Message)
	}
	return s
}

// benchmarks takes over the figures of a package.
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
