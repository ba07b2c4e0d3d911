package ingest

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/go-json-experiment/json"
)

// maxLine is the most bytes of one event: test2json cuts output at 4 KiB.
const maxLine = 1 << 20

// readGoTest reads what go test -json prints, line by line, of any Go since 1.12.
//
// A spec is a test without subtests, under its full name; its suite is the package.
// A test with subtests is no spec: it fails when one of them does, and one bug would
// count twice. Where it fails and no subtest did, that failure is a [SuiteFailure],
// as is one of a benchmark, of the build, or of the package itself.
//
// Tests that a passing test runs by testing.RunTests, and that fail, are left out: see
// [goTestReader.leaveOutInner].
//
// What has begun and has no end has failed: a test that was running when the program
// died, a package when the file stops, a test program that go test calls ok and that
// never printed PASS. Tests that were repeated by -count fail when one of the repeats
// does, as for go test itself. Packages that occur again are attempts of the same
// specs only where the file shows a rerun of failed tests: see [goTestReader.settle].
// Go before 1.24 prints failures of the build as text between the events: a line that
// is no event and reports a failure is one, any other is passed over with a note.
func readGoTest(in *input, c *collector) error {
	g := goTestReader{c: c, packages: map[string]*goPackage{}, runs: map[string][]packageRun{}, builds: map[string]*goBuild{}}
	for number := 1; ; number++ {
		line, whole, err := readLine(in.Reader)
		if err != nil && !errors.Is(err, io.EOF) {
			return &FormatError{Format: reports.FormatGoTest, Line: number, Err: err}
		}
		if len(bytes.TrimSpace(line)) > 0 || !whole {
			was := g.events
			if err := g.line(number, line, whole); err != nil {
				return &FormatError{Format: reports.FormatGoTest, Line: number, Err: err}
			}
			if g.events == was && err != nil {
				g.stray.ended(number, string(line))
			}
		}
		if err != nil {
			break
		}
	}
	if g.events == 0 && len(g.stray.failed) == 0 { // Go before 1.24 has no event of a build
		return &FormatError{Format: reports.FormatGoTest, Line: g.stray.first, Err: fmt.Errorf("there is no event in it: %w", g.stray.why)}
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
	Key, Value  string // of an attribute
	Path        string // folder of artifacts
}

type goTestReader struct {
	c        *collector
	packages map[string]*goPackage   // those being tested
	runs     map[string][]packageRun // of packages that have ended, by import path
	again    []packageRun            // of packages that had ended before, to be settled at the end
	latest   time.Time               // last end of a package in its first run
	late     bool                    // a package began for the first time after another one was tested again
	builds   map[string]*goBuild     // by ImportPath
	stray    strayLines              // that are no events
	silent   []string                // packages with a result, and neither a test nor any output
	spoken   bool                    // there are events other than results
	bench    benchmarks
	events   int
	unknown  int    // events with an action of a newer go test
	action   string // of the first of them
	inner    int    // tests that failed inside of a test that passed
	missing  int    // packages whose end is known by their output only
	dropped  int    // attributes beyond maxAttrs
	stored   int    // tests that passed and have artifacts
}

// goBuild is one build that go test reports events of.
type goBuild struct {
	out           excerpt
	failed, named bool // named: a package failed by it
	last          int  // number of its last event
}

func (g *goTestReader) line(number int, line []byte, whole bool) error {
	e, err := decodeEvent(line)
	if !whole {
		err = errors.New("it is longer than 1 MiB")
	}
	if err != nil && whole {
		// What writes to the same file without a line break puts its text before an event.
		if at := bytes.LastIndex(line, []byte(`{"Time":"`)); at > 0 {
			if behind, failed := decodeEvent(line[at:]); failed == nil {
				if err := g.c.keep(g.stray.add(number, string(line[:at]), err)); err != nil {
					return err
				}
				e, err = behind, nil
			}
		}
	}
	if err != nil {
		return g.c.keep(g.stray.add(number, string(line), err))
	}
	if !sane(e.Elapsed) {
		return fmt.Errorf("%s %s took %v s", e.Package, e.Test, e.Elapsed)
	}
	g.events++
	g.stray.trouble, g.stray.last = false, false
	return g.event(&e)
}

func decodeEvent(line []byte) (e goEvent, err error) {
	if err := json.Unmarshal(line, &e); err != nil {
		return e, plainJSON(err)
	}
	if e.Action == "" {
		return e, errors.New("it has no Action")
	}
	return e, nil
}

// withoutPackage is the suite of events that name no package, as test2json writes them
// of a single test program.
const withoutPackage = "tests"

func (g *goTestReader) event(e *goEvent) error {
	switch e.Action {
	case "build-output", "build-fail":
		return g.build(e)
	case "start", "run", "pause", "cont", "output", "bench", "attr", "artifacts":
		g.spoken = true
	case "pass", "fail", "skip":
	default:
		if g.unknown++; g.unknown == 1 {
			g.action = e.Action
		}
		return nil
	}
	e.Package = cmp.Or(e.Package, withoutPackage)
	p := g.packages[e.Package]
	if p != nil && e.Action == "start" { // again, and the first time has no end
		if err := g.finish(p, "", ""); err != nil {
			return err
		}
		p = nil
	}
	if p == nil {
		p = newGoPackage(e)
		g.packages[e.Package] = p
		g.late = g.late || len(g.again) > 0 && len(g.runs[e.Package]) == 0
		if err := g.c.keep(len(e.Package) + overhead); err != nil {
			return err
		}
	}
	p.ended = e.Time
	g.c.reading.during(e.Time)
	if e.Test != "" && !p.endsBy(e) {
		return g.test(p, e)
	}
	switch e.Action {
	case "output":
		p.read(nil, e.Output)
		return g.c.keep(p.out.add(e.Output))
	case "pass", "fail", "skip":
		p.suite.Duration = text.Seconds(e.Elapsed)
		return g.finish(p, e.Action, e.FailedBuild)
	}
	return nil
}

// build takes an event of a build. A package that needs it fails by it, unless the file
// ends before.
func (g *goTestReader) build(e *goEvent) error {
	b := g.builds[e.ImportPath]
	if b == nil {
		b = &goBuild{}
		g.builds[e.ImportPath] = b
		g.c.kept += len(e.ImportPath) + overhead
	}
	b.failed, b.last = b.failed || e.Action == "build-fail", g.events
	return g.c.keep(b.out.add(e.Output))
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
		t = p.add(e.Test)
		if err := g.c.keep(len(e.Test)); err != nil {
			return err
		}
	}
	t.mark(e.Action, g.events)
	switch e.Action {
	case "run":
		t.running, t.said = true, ""
	case "output":
		p.read(t, e.Output)
		return g.c.keep(t.out.add(e.Output))
	case "attr":
		was := len(t.labels)
		if t.labels = appendLabel(t.labels, e.Key, e.Value, &g.dropped); len(t.labels) > was {
			return g.c.keep(len(t.labels[was]))
		}
	case "artifacts":
		t.artifacts = e.Path
	case "bench":
		t.running = false
	case "pass":
		t.end(reports.Passed, text.Seconds(e.Elapsed))
		if t.state == reports.Passed { // nobody asks for what it printed, and it may be long
			g.c.kept -= t.out.size()
			t.out = excerpt{}
		}
	case "skip":
		t.end(reports.Skipped, text.Seconds(e.Elapsed))
	case "fail":
		t.end(reports.Failed, text.Seconds(e.Elapsed))
	}
	return nil
}

// goPlace is where a test says that it failed, or the first line of its own in a stack.
var goPlace = regexp.MustCompile(`(?m)^\s*(\S+_test\.go):(\d+)(?::|\s|$)`)

var goPanic = regexp.MustCompile(`(?m)^panic: `)

// goWhere finds the file and line in the message of a Go test, and a panic.
func (c *collector) goWhere(s *reports.Spec) {
	if s.State == reports.Failed && s.Detail == "" && goPanic.MatchString(s.Message) {
		s.Detail = "panicked"
	}
	if file, line := c.goPosition(s.Suite, goPlace.FindStringSubmatch(s.Message)); file != "" {
		s.File, s.Line = file, line
	}
}

// goPosition is the place that a message of a package names, by its name and its line.
func (c *collector) goPosition(pkg string, at []string) (file string, line int) {
	if at == nil {
		return "", 0
	}
	if file = c.goFile(pkg, at[1]); file != "" {
		line, _ = strconv.Atoi(at[2]) // digits; one that is too long for a line is none
	}
	return file, line
}

// goFrame are the lines that the testing package adds.
var goFrame = regexp.MustCompile(`(?m)^\s*(=== (RUN|PAUSE|CONT|NAME|ATTR|ARTIFACTS) |--- (PASS|FAIL|SKIP): ).*\n?`)

// goMessage is what a test printed itself.
func goMessage(output string) string { return strings.TrimSpace(goFrame.ReplaceAllString(output, "")) }

// end takes over what has no end.
func (g *goTestReader) end() error {
	for _, name := range slices.Sorted(maps.Keys(g.packages)) {
		if err := g.finish(g.packages[name], "", ""); err != nil {
			return err
		}
	}
	for _, step := range []func() error{g.settle, g.endBuilds, g.endSilent, g.endStray} {
		if err := step(); err != nil {
			return err
		}
	}
	g.c.reading.Benchmarks = g.bench.all
	if g.missing > 0 {
		g.c.note("packages whose last event is missing, taken by what go test printed of them: %d", g.missing)
	}
	if g.inner > 0 {
		g.c.note("tests that failed inside of a test that ran them by testing.RunTests, and did not fail: %d; they are not counted", g.inner)
	}
	if g.unknown > 0 {
		g.c.note("events with an action that this version does not know, passed over: %d; the first is %q", g.unknown, g.action)
	}
	if g.dropped > 0 {
		g.c.note(droppedLabels, g.dropped)
	}
	if g.stored > 0 {
		g.c.note("tests that passed and stored artifacts outside of the module: %d; their folders are not kept", g.stored)
	}
	return nil
}

// outside adds a suite of nothing but a failure.
func (g *goTestReader) outside(path, node, message string) error {
	s := reports.Suite{Path: path}
	file, line := g.c.goPosition(path, goSource.FindStringSubmatch(message))
	if err := g.c.fail(&s, node, message, file, line); err != nil {
		return err
	}
	return g.c.suite(s)
}

// BuiltPackage is the package that the import path of a build is of: that of "m/a [m/a.test]",
// which is m/a compiled for its test, and of "m/a.test", its test program.
func BuiltPackage(importPath string) string {
	pkg, _, forTest := strings.Cut(importPath, " [")
	if !forTest {
		pkg = strings.TrimSuffix(pkg, ".test")
	}
	return pkg
}

// endBuilds reports the builds that failed and that no package named: the file ends
// before the results of the packages.
func (g *goTestReader) endBuilds() error {
	for _, path := range slices.Sorted(maps.Keys(g.builds)) {
		// A build that printed a mistake and has no end has failed too, as has one with which
		// the file ends: it was cut.
		if b := g.builds[path]; !b.named && (b.failed || b.last == g.events || mistaken(b.out.String())) {
			if err := g.outside(cmp.Or(BuiltPackage(path), withoutPackage), "build", b.out.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

// endSilent reports packages that passed without a trace of a test or an output. A file
// that was stripped of all but results, as gotestsum writes them for timings, cannot say
// more of a package in which no test was to be run.
func (g *goTestReader) endSilent() error {
	if len(g.silent) > 0 && !g.spoken {
		g.c.note("packages that passed without a test: %d; the first is %s", len(g.silent), g.silent[0])
		return nil
	}
	for _, pkg := range g.silent {
		if err := g.outside(pkg, "package", "it passed, and reported neither a test nor that there is none to run"); err != nil {
			return err
		}
	}
	return nil
}
