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

	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/live"
)

// watch calls tell with the result of look about once a second, and once more when it is stopped.
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

// tail reads the complete lines of a growing file, each once.
type tail struct {
	path   string
	offset int64
}

// next calls f with each line that was completed since the previous call. If the file cannot be read,
// the next call tries again.
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

// ginkgoNews follows the events of specs and the output of Ginkgo. Suites run one after the other, so
// the first event of a suite means that the previous one has ended.
type ginkgoNews struct {
	root    string
	tmp     string
	log     tail
	files   map[string]*tail
	current string // the running suite
}

func newGinkgoNews(root, tmp, log string) *ginkgoNews {
	return &ginkgoNews{root: root, tmp: tmp, log: tail{path: log}, files: map[string]*tail{}}
}

// look returns the progress since the previous call.
func (g *ginkgoNews) look() (n live.News) {
	paths, _ := filepath.Glob(filepath.Join(g.tmp, "events", "*.jsonl")) // the only error is an invalid pattern
	for _, path := range paths {
		if g.files[path] == nil {
			g.files[path] = &tail{path: path}
		}
		g.files[path].next(func(line []byte) { g.specEvent(line, &n) })
	}
	g.log.next(func(line []byte) {
		if m := notCompiled.FindSubmatch(colours.ReplaceAll(line, nil)); m != nil {
			n.Broken = append(n.Broken, suiteName(g.root, string(m[1])))
		}
	})
	return n
}

// notCompiled matches Ginkgo's message for a suite that does not compile.
var notCompiled = regexp.MustCompile(`^Failed to compile (\S+?):?\s*$`)

func (g *ginkgoNews) specEvent(line []byte, n *live.News) {
	var t specEvent
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

// ended reports that all suites have ended, including those without any event.
func (g *ginkgo) ended() (n live.News) {
	for _, s := range g.suites {
		n.Ended = append(n.Ended, suiteName(g.root, s.Dir))
	}
	return n
}

// suiteName returns the name that results use for the suite in a folder: its path relative to the root.
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
