package runner

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/live"
)

// goNews follows the events of go test.
type goNews struct {
	root     string
	events   tail
	packages map[string]*goPackage // packages being tested
}

// goPackage is a package being tested.
type goPackage struct {
	tests   map[string]*goTest // tests that have begun and not ended
	running int                // number of these that are not paused
	held    []heldTest
}

// goTest is a test that has begun and not ended.
type goTest struct {
	lines    bytes.Buffer // its events, from which the message of a failed test is read
	subtests int          // number of subtests; a test with subtests is not a spec
	paused   bool         // it is a parallel test that waits for its turn
	within   bool         // it began while another test ran, but is not a subtest of it
}

// heldTest is a failed test that may not be part of the results, as [ingest.Read] decides: a passing
// test may have run it by testing.RunTests and expected the failure. This is known when that test ends
// or, if the name does not show which test it was, when the package ends.
type heldTest struct {
	name string
	spec *reports.Spec // nil if it has subtests
}

const maxLines = 256 << 10 // bytes of events of one test; the results have no such limit

func newGoNews(root, events string) *goNews {
	return &goNews{root: root, events: tail{path: events}, packages: map[string]*goPackage{}}
}

func (g *goNews) look() (n live.News) {
	g.events.next(func(line []byte) { g.event(line, &n) })
	return n
}

func (g *goNews) event(line []byte, n *live.News) {
	var e struct {
		Action, Package, Test, ImportPath string
		Elapsed                           float64
	}
	if json.Unmarshal(line, &e) != nil {
		return
	}
	p := g.packages[e.Package]
	if p == nil {
		p = &goPackage{tests: map[string]*goTest{}}
	}
	switch {
	case e.Action == "build-fail":
		n.Broken = append(n.Broken, ingest.BuiltPackage(e.ImportPath))
	case e.Test == "" && e.Action == "start":
		delete(g.packages, e.Package) // the package may be tested again
		n.Begun = append(n.Begun, e.Package)
	case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
		if e.Action == "fail" {
			p.report(p.take(""), n)
		}
		delete(g.packages, e.Package)
		n.Ended = append(n.Ended, e.Package)
	case e.Test != "":
		g.packages[e.Package] = p
		t := p.tests[e.Test]
		if t == nil {
			t = p.begin(e.Test)
		}
		if t.lines.Len() < maxLines {
			t.lines.Write(line)
		}
		switch e.Action {
		case "run":
			n.Now = e.Test
		case "pause":
			t.wait(p, true)
		case "cont":
			t.wait(p, false)
		case "pass", "fail", "skip":
			spec := reports.Spec{Suite: e.Package, Leaf: e.Test, Occurrence: 1, Duration: time.Duration(e.Elapsed * float64(time.Second))}
			spec.State = map[string]reports.State{"pass": reports.Passed, "fail": reports.Failed, "skip": reports.Skipped}[e.Action]
			if spec.State == reports.Failed {
				if r, err := ingest.Read(bytes.NewReader(t.lines.Bytes()), g.root); err == nil && len(r.Results.Specs) == 1 {
					spec = r.Results.Specs[0]
				}
			}
			p.end(e.Test, t, spec, n)
		}
	}
}

// begin adds a test. A test that is not a subtest begins only while no other test runs, unless another
// test runs it by testing.RunTests.
func (p *goPackage) begin(name string) *goTest {
	up := p.above(name)
	for _, parent := range up {
		parent.subtests++
	}
	t := &goTest{within: len(up) == 0 && p.running > 0}
	p.tests[name] = t
	p.running++
	return t
}

// wait records that a test is paused, or no longer paused.
func (t *goTest) wait(p *goPackage, paused bool) {
	switch {
	case paused && !t.paused:
		p.running--
	case !paused && t.paused:
		p.running++
	}
	t.paused = paused
}

// above returns the running tests of which a test may be a subtest. There may be several, since the name
// of a subtest may contain slashes.
func (p *goPackage) above(name string) (all []*goTest) {
	for i, r := range name {
		if t := p.tests[name[:i]]; r == '/' && t != nil {
			all = append(all, t)
		}
	}
	return all
}

// end handles the end of a test. It reports the test, or holds it, and reports or drops held tests that
// ran inside of it.
func (p *goPackage) end(name string, t *goTest, spec reports.Spec, n *live.News) {
	delete(p.tests, name)
	t.wait(p, true)
	up := p.above(name)
	if spec.State == reports.Passed {
		dropped := len(p.take(name + "/"))
		for _, parent := range append(up, t) {
			parent.subtests -= dropped
		}
	}
	one := heldTest{name, &spec}
	if t.subtests > 0 {
		one.spec = nil
	}
	switch failed := spec.State == reports.Failed; {
	case failed && (len(up) > 0 || t.within) && !strings.HasPrefix(name, "Benchmark"):
		p.held = append(p.held, one)
	case failed:
		p.report(append(p.take(name+"/"), one), n)
	default:
		p.report([]heldTest{one}, n)
	}
}

// take removes and returns the held tests whose names start with prefix.
func (p *goPackage) take(prefix string) (taken []heldTest) {
	p.held = slices.DeleteFunc(p.held, func(h heldTest) bool {
		is := strings.HasPrefix(h.name, prefix)
		if is {
			taken = append(taken, h)
		}
		return is
	})
	return taken
}

func (p *goPackage) report(tests []heldTest, n *live.News) {
	for _, t := range tests {
		if t.spec != nil {
			n.Specs = append(n.Specs, *t.spec)
		}
	}
}
