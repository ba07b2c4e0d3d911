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

// maxLine is the maximum length of a line in bytes. Lines of test2json are shorter, because it splits
// output after 4 KiB.
const maxLine = 1 << 20

// readGoTest reads the output of go test -json, one event per line, of Go 1.12 or later.
//
// A spec is a test without subtests; its leaf is its full name, its suite the package. A test with
// subtests is not a spec: since it fails if one of them does, one bug would count twice. If it fails
// although none of its subtests did, that is a [reports.SuiteFailure], and so are failures of
// benchmarks, builds and packages.
//
// A failed test that a passing test ran by testing.RunTests is ignored: see
// [goTestReader.leaveOutInner].
//
// Anything that started and did not end counts as failed: a test that was running when the program
// crashed, a package whose result is missing at the end of the file, a test program that go test
// reports as ok although it did not print PASS. A test that -count repeated fails if one of its runs
// does, as for go test itself. If a package occurs again, its tests are further attempts of the same
// specs only if the file shows a rerun of failed tests: see [goTestReader.settle].
//
// Before Go 1.24, failures of the build are text between the events. So a line that is not an event
// counts as a failure if it reports one; other such lines are ignored with a note.
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
	if g.events == 0 && len(g.stray.failed) == 0 { // before Go 1.24, a failed build has no events
		return &FormatError{Format: reports.FormatGoTest, Line: g.stray.first, Err: fmt.Errorf("it contains no event: %w", g.stray.why)}
	}
	return g.end()
}

// readLine returns the next line, which is valid until the next call. If the line is longer than
// maxLine, it returns the beginning of it and whole is false.
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
	ImportPath  string // events of builds: what is built
	FailedBuild string // the end of a package: ImportPath of the failed build that made it fail
	Key, Value  string // action attr
	Path        string // action artifacts: their folder
}

type goTestReader struct {
	c        *collector
	packages map[string]*goPackage   // packages being tested, by import path
	runs     map[string][]packageRun // runs of packages that have ended, by import path
	again    []packageRun            // second and later runs of packages, for settle
	latest   time.Time               // latest end of the first run of a package
	late     bool                    // the first run of a package started after another package was tested again
	builds   map[string]*goBuild     // by ImportPath
	stray    strayLines              // lines that are not events
	silent   []string                // packages with a result but neither tests nor output
	spoken   bool                    // there are events other than results
	bench    benchmarks
	events   int // number of events

	// Numbers and examples for notes.
	unknown int    // events with an unknown action, of a newer go test
	action  string // first unknown action
	inner   int    // failed tests inside of a passed test
	missing int    // packages whose result is known only from their output
	dropped int    // attributes beyond maxAttrs
	stored  int    // passed tests with artifacts outside of the module
}

// goBuild is a build for which go test reports events.
type goBuild struct {
	out           excerpt
	failed, named bool // named: a package failed because of it
	last          int  // number of its last event
}

func (g *goTestReader) line(number int, line []byte, whole bool) error {
	e, err := decodeEvent(line)
	if !whole {
		err = errors.New("it is longer than 1 MiB")
	}
	if err != nil && whole {
		// Another program may have written text without a line break to the same file.
		if at := bytes.LastIndex(line, []byte(`{"Time":"`)); at > 0 {
			if event, failed := decodeEvent(line[at:]); failed == nil {
				if err := g.c.keep(g.stray.add(number, string(line[:at]), err)); err != nil {
					return err
				}
				e, err = event, nil
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

// withoutPackage is the suite of events without a package. test2json writes them for the output of a
// single test program.
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
	if p != nil && e.Action == "start" { // tested again, although the end of the first run is missing
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

// build handles an event of a build. The failure is that of the package that FailedBuild refers to;
// see endBuilds for builds without such a package.
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

// during extends the time of the run to contain t. Times that a history cannot store, in nanoseconds
// since 1970, are ignored.
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
		if t.state == reports.Passed { // the output of passed tests is not reported
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

// goPlace matches the location in a message of t.Error, or of a frame in a test file.
var goPlace = regexp.MustCompile(`(?m)^\s*(\S+_test\.go):(\d+)(?::|\s|$)`)

var goPanic = regexp.MustCompile(`(?m)^panic: `)

// goWhere sets the location of a spec from its message, and its detail if the message is that of a
// panic.
func (c *collector) goWhere(s *reports.Spec) {
	if s.State == reports.Failed && s.Detail == "" && goPanic.MatchString(s.Message) {
		s.Detail = "panicked"
	}
	if file, line := c.goPosition(s.Suite, goPlace.FindStringSubmatch(s.Message)); file != "" {
		s.File, s.Line = file, line
	}
}

// goPosition returns the location in a message of a package. at is a match of goPlace or goSource, or
// nil.
func (c *collector) goPosition(pkg string, at []string) (file string, line int) {
	if at == nil {
		return "", 0
	}
	if file = c.goFile(pkg, at[1]); file != "" {
		line, _ = strconv.Atoi(at[2]) // digits: the only error is overflow
	}
	return file, line
}

// goFrame matches the lines that package testing adds to the output of a test.
var goFrame = regexp.MustCompile(`(?m)^\s*(=== (RUN|PAUSE|CONT|NAME|ATTR|ARTIFACTS) |--- (PASS|FAIL|SKIP): ).*\n?`)

// goMessage returns the output of a test without the lines of package testing.
func goMessage(output string) string { return strings.TrimSpace(goFrame.ReplaceAllString(output, "")) }

// end handles what has not ended at the end of the file, and adds the notes.
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
		g.c.note("packages whose last event is missing and whose result was taken from their output: %d", g.missing)
	}
	if g.inner > 0 {
		g.c.note("failed tests that another test ran by testing.RunTests and that did not make it fail, not counted: %d", g.inner)
	}
	if g.unknown > 0 {
		g.c.note("events with an unknown action, ignored: %d; the first is %q", g.unknown, g.action)
	}
	if g.dropped > 0 {
		g.c.note(droppedLabels, g.dropped)
	}
	if g.stored > 0 {
		g.c.note("folders of artifacts outside of the module, of tests that passed, ignored: %d", g.stored)
	}
	return nil
}

// outside adds a suite that consists of one failure.
func (g *goTestReader) outside(path, node, message string) error {
	s := reports.Suite{Path: path}
	file, line := g.c.goPosition(path, goSource.FindStringSubmatch(message))
	if err := g.c.fail(&s, node, message, file, line); err != nil {
		return err
	}
	return g.c.suite(s)
}

// BuiltPackage returns the package that a build belongs to. Both "m/a [m/a.test]", package m/a compiled
// for its test, and "m/a.test", its test program, belong to m/a.
func BuiltPackage(importPath string) string {
	pkg, _, forTest := strings.Cut(importPath, " [")
	if !forTest {
		pkg = strings.TrimSuffix(pkg, ".test")
	}
	return pkg
}

// endBuilds adds the failed builds that no package refers to, because the file ends before the
// results of the packages.
func (g *goTestReader) endBuilds() error {
	for _, path := range slices.Sorted(maps.Keys(g.builds)) {
		// The event build-fail may be missing, too: a build has failed if the compiler reported an
		// error, or if the file ends within its output.
		if b := g.builds[path]; !b.named && (b.failed || b.last == g.events || mistaken(b.out.String())) {
			if err := g.outside(cmp.Or(BuiltPackage(path), withoutPackage), "build", b.out.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

// endSilent adds a failure for packages that passed without any test or output, since something must
// have removed them. Files that contain only results, as gotestsum writes them for timings, are an
// exception: in these, a package without tests looks like that.
func (g *goTestReader) endSilent() error {
	if len(g.silent) > 0 && !g.spoken {
		g.c.note("packages that passed and contain no test: %d; the first is %s", len(g.silent), g.silent[0])
		return nil
	}
	for _, pkg := range g.silent {
		if err := g.outside(pkg, "package", "it passed, but reported neither a test nor that there are no tests to run"); err != nil {
			return err
		}
	}
	return nil
}
