package runner

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/live"
)

// watch calls look about once a second and once more when it is stopped, and tell with the news
// that it finds, if any.
func watch(look func() live.News, tell func(live.News)) (stop func()) {
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for {
			select {
			case <-done:
				tell(look())
				return
			case <-t.C:
				tell(look())
			}
		}
	})
	return func() { close(done); ended.Wait() }
}

// tail reads whole lines of a file that grows, each once.
type tail struct {
	path   string
	offset int64
}

// next calls f with each line that has been completed since the last call. What cannot be read
// is as if it had not been written yet.
func (t *tail) next(f func(line []byte)) {
	file, err := os.Open(t.path)
	if err != nil {
		return
	}
	defer file.Close()
	if _, err := file.Seek(t.offset, io.SeekStart); err != nil {
		return
	}
	text, _ := io.ReadAll(file)
	end := bytes.LastIndexByte(text, '\n') + 1
	t.offset += int64(end)
	for line := range bytes.Lines(text[:end]) {
		f(line)
	}
}

// ginkgoNews follows what suites told of their specs, and what Ginkgo said. Suites run one
// after the other: with the first sign of one, the one before has ended.
type ginkgoNews struct {
	root    string
	tmp     string
	log     tail
	files   map[string]*tail
	current string // suite that is running
}

func newGinkgoNews(root, tmp, log string) *ginkgoNews {
	return &ginkgoNews{root: root, tmp: tmp, log: tail{path: log}, files: map[string]*tail{}}
}

// look returns what is new.
func (g *ginkgoNews) look() (n live.News) {
	paths, _ := filepath.Glob(filepath.Join(g.tmp, "told", "*.jsonl")) // the pattern is a good one
	for _, path := range paths {
		if g.files[path] == nil {
			g.files[path] = &tail{path: path}
		}
		g.files[path].next(func(line []byte) { g.told(line, &n) })
	}
	g.log.next(func(line []byte) {
		if m := notCompiled.FindSubmatch(colours.ReplaceAll(line, nil)); m != nil {
			n.Broken = append(n.Broken, suiteName(g.root, string(m[1])))
		}
	})
	return n
}

// notCompiled is what Ginkgo says of a suite that does not build.
var notCompiled = regexp.MustCompile(`^Failed to compile (\S+?):?\s*$`)

func (g *ginkgoNews) told(line []byte, n *live.News) {
	var t toldSpec
	if json.Unmarshal(line, &t) != nil {
		return
	}
	name := suiteName(g.root, t.Suite)
	if name != g.current {
		if g.current != "" {
			n.Ended = append(n.Ended, g.current)
		}
		g.current = name
		n.Begun = append(n.Begun, name)
	}
	if t.Spec.LeafNodeType != types.NodeTypeIt {
		return
	}
	if !t.Ended {
		n.Now = t.Spec.FullText()
		return
	}
	text, err := json.Marshal([]types.Report{{SuitePath: t.Suite, SuiteSucceeded: true, SpecReports: types.SpecReports{t.Spec}}})
	if err != nil {
		return
	}
	r, err := ingest.ReadGinkgo(bytes.NewReader(text), g.root)
	if err != nil {
		return
	}
	n.Specs = append(n.Specs, r.Specs...)
}

// ended is the news that all suites have ended, those that told nothing as well.
func (g *ginkgo) ended() (n live.News) {
	for _, s := range g.suites {
		n.Ended = append(n.Ended, suiteName(g.root, s.Dir))
	}
	return n
}

// suiteName is the suite of a folder as results name it.
func suiteName(root, dir string) string {
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(root, dir)
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil || strings.HasPrefix(rel, "..") {
		return filepath.ToSlash(dir)
	}
	return filepath.ToSlash(rel)
}

// goNews follows the events of go test.
type goNews struct {
	root   string
	events tail
	tests  map[string]*goTest // that have begun and not ended, by package and name
}

type goTest struct {
	lines  bytes.Buffer // its events: of a test that fails they are read as the results are
	parent bool         // it has subtests, and is no spec
}

const maxLines = 256 << 10 // of one test: more is in the results

func newGoNews(root, events string) *goNews {
	return &goNews{root: root, events: tail{path: events}, tests: map[string]*goTest{}}
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
	switch {
	case e.Action == "build-fail":
		n.Broken = append(n.Broken, ingest.BuiltPackage(e.ImportPath))
	case e.Test == "" && e.Action == "start":
		n.Begun = append(n.Begun, e.Package)
	case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
		n.Ended = append(n.Ended, e.Package)
	case e.Test != "":
		g.test(e.Package, e.Test, e.Action, e.Elapsed, line, n)
	}
}

func (g *goNews) test(pkg, name, action string, seconds float64, line []byte, n *live.News) {
	key := pkg + "\n" + name
	t := g.tests[key]
	if t == nil {
		t = &goTest{}
		g.tests[key] = t
		for i, r := range name { // a subtest may have a slash in its own name
			if parent := g.tests[pkg+"\n"+name[:i]]; r == '/' && parent != nil {
				parent.parent = true
			}
		}
	}
	if t.lines.Len() < maxLines {
		t.lines.Write(line)
	}
	state := map[string]reports.State{"pass": reports.Passed, "fail": reports.Failed, "skip": reports.Skipped}[action]
	if state == "" {
		if action == "run" {
			n.Now = name
		}
		return
	}
	delete(g.tests, key)
	if t.parent {
		return
	}
	spec := reports.Spec{Suite: pkg, Leaf: name, Occurrence: 1, State: state, Duration: time.Duration(seconds * float64(time.Second))}
	if state == reports.Failed {
		if r, err := ingest.Read(bytes.NewReader(t.lines.Bytes()), g.root); err == nil && len(r.Results.Specs) == 1 {
			spec = r.Results.Specs[0]
		}
	}
	n.Specs = append(n.Specs, spec)
}
