package reports

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// maxLine is the most bytes of one event: test2json cuts output at 4 KiB.
const maxLine = 1 << 20

// readGoTest reads what go test -json prints, line by line.
//
// A spec is a test without subtests, under its full name; its suite is the package.
// A test with subtests is no spec: it fails when one of them does, and one bug would
// count twice. Where it fails and no subtest did, that failure is a [SuiteFailure],
// as is one of a benchmark, of the build, or of the package itself.
//
// What has begun and has no end has failed: a test that was running when the program
// died, a package when the file stops. Tests that were repeated by -count fail when
// one of the repeats does, as for go test itself. Packages that were tested again,
// later in the file, are retries. A line that is no event is passed over and told.
func readGoTest(in *input, c *collector) error {
	g := goTestReader{c: c, packages: map[string]*goPackage{}, builds: map[string]*excerpt{}}
	for number := 1; ; number++ {
		line, whole, err := readLine(in.Reader)
		if err != nil && !errors.Is(err, io.EOF) {
			return &FormatError{Format: formatGoTest, Line: number, Err: err}
		}
		if len(bytes.TrimSpace(line)) > 0 || !whole {
			if err := g.line(number, line, whole); err != nil {
				return &FormatError{Format: formatGoTest, Line: number, Err: err}
			}
		}
		if err != nil {
			break
		}
	}
	return g.end()
}

// readLine returns the next line, which is valid until the next call. Of a line
// beyond maxLine it returns the beginning, and false.
func readLine(r *bufio.Reader) (line []byte, whole bool, err error) {
	line, err = r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, true, err
	}
	long := slices.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.ReadSlice('\n')
		if len(long) <= maxLine {
			long = append(long, line...)
		}
	}
	return long, len(long) <= maxLine, err
}

type goEvent struct {
	Time        time.Time
	Action      string
	Package     string
	Test        string
	Elapsed     float64 // seconds
	Output      string
	ImportPath  string // of a build
	FailedBuild string // ImportPath of the build that a package failed by
}

type goTestReader struct {
	c        *collector
	packages map[string]*goPackage // that run now
	builds   map[string]*excerpt
	events   int
	bad      int // lines that are no events
	badLine  int // the first of them
	badWhy   string
	unknown  int    // events with an action of a newer go test
	action   string // of the first of them
}

// goPackage is a package while it is tested.
type goPackage struct {
	suite Suite
	tests []*goTest // in the order of their start
	named map[string]*goTest
	out   excerpt
	told  bool // a test failed
}

// goTest is one test, with all its repeats.
type goTest struct {
	name    string
	running bool
	state   State
	runs    int
	took    time.Duration
	out     excerpt
}

func (g *goTestReader) line(number int, line []byte, whole bool) error {
	var e goEvent
	why := "it is longer than 1 MiB"
	if whole {
		err := json.Unmarshal(line, &e)
		switch {
		case err != nil:
			why = plainJSON(err).Error()
		case e.Action == "":
			why = "it has no Action"
		case !sane(e.Elapsed):
			return fmt.Errorf("%s %s took %v s", e.Package, e.Test, e.Elapsed)
		default:
			g.events++
			return g.event(&e)
		}
	}
	if g.bad++; g.bad == 1 {
		g.badLine, g.badWhy = number, why
	}
	return nil
}

func (g *goTestReader) event(e *goEvent) error {
	switch e.Action {
	case "build-output":
		b := g.builds[e.ImportPath]
		if b == nil {
			b = &excerpt{}
			g.builds[e.ImportPath] = b
			g.c.kept += len(e.ImportPath) + overhead
		}
		return g.c.keep(b.add(e.Output))
	case "build-fail":
		return nil // the package that needs it says so
	}
	if e.Package == "" {
		return nil
	}
	p := g.packages[e.Package]
	if p != nil && e.Action == "start" { // again, and the first time has no end
		if err := g.finish(p, "", ""); err != nil {
			return err
		}
		p = nil
	}
	if p == nil {
		p = &goPackage{suite: Suite{Path: e.Package, Started: e.Time}, named: map[string]*goTest{}}
		g.packages[e.Package] = p
		if err := g.c.keep(len(e.Package) + overhead); err != nil {
			return err
		}
	}
	g.c.reading.during(e.Time)
	switch e.Action {
	case "start", "pause", "cont", "attr", "artifacts":
		return nil
	case "run", "output", "bench", "pass", "fail", "skip":
	default:
		if g.unknown++; g.unknown == 1 {
			g.action = e.Action
		}
		return nil
	}
	if e.Test != "" {
		return g.test(p, e)
	}
	switch e.Action {
	case "output":
		return g.c.keep(p.out.add(e.Output))
	case "pass", "fail", "skip":
		delete(g.packages, e.Package)
		p.suite.Duration = seconds(e.Elapsed)
		return g.finish(p, e.Action, e.FailedBuild)
	}
	return nil
}

// during widens the time of the run so that t is in it. A time that no history can
// keep, in nanoseconds since 1970, is none.
func (r *Reading) during(t time.Time) {
	switch {
	case t.Year() < 1970 || t.Year() > 2200:
	case r.Started.IsZero():
		r.Started = t
	case t.Before(r.Started):
		r.Started, r.Took = t, r.Took+r.Started.Sub(t)
	default:
		r.Took = max(r.Took, t.Sub(r.Started))
	}
}

func (g *goTestReader) test(p *goPackage, e *goEvent) error {
	t := p.named[e.Test]
	if t == nil {
		if len(p.tests) >= g.c.most.specs {
			return fmt.Errorf("%w: more than %d tests", ErrTooBig, g.c.most.specs)
		}
		t = &goTest{name: e.Test}
		p.named[e.Test] = t
		p.tests = append(p.tests, t)
		if err := g.c.keep(len(e.Test)); err != nil {
			return err
		}
	}
	switch e.Action {
	case "run":
		t.running = true
	case "output":
		return g.c.keep(t.out.add(e.Output))
	case "bench":
		t.running = false
	case "pass":
		t.end(Passed, e.Elapsed)
		if t.state == Passed { // nobody asks for what it printed, and it may be long
			g.c.kept -= t.out.size()
			t.out = excerpt{}
		}
	case "skip":
		t.end(Skipped, e.Elapsed)
	case "fail":
		t.end(Failed, e.Elapsed)
	}
	return nil
}

// end ends one run of the test: of several, a failure stays.
func (t *goTest) end(s State, elapsed float64) {
	if t.state == "" || t.state == Skipped || s == Failed {
		t.state = s
	}
	t.running = false
	t.runs++
	t.took += seconds(elapsed)
}

// finish takes over a package that has ended by an action, "" for one that has not.
func (g *goTestReader) finish(p *goPackage, action, failedBuild string) error {
	fail := func(node, message string) error {
		at := Spec{Suite: p.suite.Path, Message: message}
		goWhere(&at)
		return g.c.fail(&p.suite, node, message, at.File, at.Line)
	}
	if err := g.tests(p, action, fail); err != nil {
		return err
	}
	var err error
	switch {
	case action == "":
		err = fail("package", "it has no end in the file: the file was cut short, or go test was\n"+p.out.String())
	case action == "fail" && failedBuild != "":
		text := ""
		if b := g.builds[failedBuild]; b != nil {
			text = b.String()
		}
		err = fail("build", text+p.out.String())
	case action == "fail" && !p.told: // it died outside of its tests, or could not be built
		err = fail("package", p.out.String())
	}
	if err == nil && (len(p.suite.Failures) > 0 || len(p.tests) > 0) {
		err = g.c.suite(p.suite)
	}
	return err
}

// tests takes over the tests of a package that has ended.
func (g *goTestReader) tests(p *goPackage, action string, fail func(node, message string) error) error {
	names, failed := make([]string, len(p.tests)), map[string]bool{}
	for i, t := range p.tests {
		names[i] = t.name
		benchmark := strings.HasPrefix(t.name, "Benchmark")
		switch {
		case t.running && action == "pass" && benchmark: // its figures are its end
		case t.running && action == "pass":
			if err := fail(t.name, "it began and has no end, and its package passed: its result is missing from the file"); err != nil {
				return err
			}
		case t.running || t.state == Failed:
			failed[t.name] = true
			if benchmark {
				if err := fail(t.name, t.message()); err != nil {
					return err
				}
			}
		}
	}
	p.told = len(failed) > 0
	family := subtestsOf(names, failed)
	for _, t := range p.tests {
		var err error
		switch {
		case strings.HasPrefix(t.name, "Benchmark"), t.running && action == "pass", t.state == "" && !t.running:
		case !family.parent[t.name]:
			err = g.c.attempt(g.spec(p, t))
		case failed[t.name] && !family.failed[t.name]:
			err = fail(t.name, t.message())
		}
		if err != nil {
			return err
		}
		g.c.kept -= t.out.size()
	}
	return nil
}

func (g *goTestReader) spec(p *goPackage, t *goTest) Spec {
	s := Spec{Suite: p.suite.Path, Leaf: t.name, State: t.state, Attempts: t.runs, Duration: t.took}
	switch {
	case t.running:
		s.State, s.Detail, s.Message = Failed, "unfinished", cmp.Or(t.message(), "it began and has no end: its program stopped before")
		s.Attempts++
	case t.state == Skipped:
		s.Message, s.Attempts = t.message(), 0
	case t.state == Failed:
		s.Message = t.message()
	}
	goWhere(&s)
	s.File = g.c.relative(s.File)
	return s
}

// goPlace is where a test says that it failed, or the first line of its own in a stack.
var goPlace = regexp.MustCompile(`(?m)^\s*(\S+_test\.go):(\d+)(?::|\s|$)`)

var goPanic = regexp.MustCompile(`(?m)^panic: `)

// goWhere finds the file and line in the message of a Go test, and a panic. go test
// names the file without its folder, which is that of the package.
func goWhere(s *Spec) {
	if s.State == Failed && s.Detail == "" && goPanic.MatchString(s.Message) {
		s.Detail = "panicked"
	}
	at := goPlace.FindStringSubmatch(s.Message)
	if at == nil {
		return
	}
	s.File = at[1]
	if !strings.Contains(s.File, "/") {
		s.File = path.Join(s.Suite, s.File)
	}
	s.Line, _ = strconv.Atoi(at[2]) // digits; one that is too long for a line is none
}

// goFrame are the lines that the testing package adds.
var goFrame = regexp.MustCompile(`(?m)^\s*(=== (RUN|PAUSE|CONT|NAME) |--- (PASS|FAIL|SKIP): ).*\n?`)

func (t *goTest) message() string { return goMessage(t.out.String()) }

// goMessage is what a test printed itself.
func goMessage(output string) string { return strings.TrimSpace(goFrame.ReplaceAllString(output, "")) }

// end takes over what has no end.
func (g *goTestReader) end() error {
	if g.events == 0 {
		return &FormatError{Format: formatGoTest, Line: g.badLine, Err: fmt.Errorf("there is no event in it: %s", g.badWhy)}
	}
	if g.bad > 0 {
		g.c.note("lines that are no events, passed over: %d; the first is line %d: %s", g.bad, g.badLine, g.badWhy)
	}
	if g.unknown > 0 {
		g.c.note("events with an action that this version does not know, passed over: %d; the first is %q", g.unknown, g.action)
	}
	left := make([]string, 0, len(g.packages))
	for name := range g.packages {
		left = append(left, name)
	}
	slices.Sort(left)
	for _, name := range left {
		if err := g.finish(g.packages[name], "", ""); err != nil {
			return err
		}
	}
	g.c.told()
	return nil
}
