package ingest

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// collector takes the specs that a reader finds, within the bounds of one file.
type collector struct {
	reading *Reading
	results *reports.Results
	root    string
	folders *goFolders // of Go modules; nil until one is asked for
	kept    int        // bytes of texts
	index   map[uint64]int
	seed    maphash.Seed
	name    []byte // used again
	most    struct{ specs, kept int }
}

func newCollector(reading *Reading, root string) *collector {
	c := &collector{reading: reading, results: reading.Results, root: root, index: map[uint64]int{}, seed: maphash.MakeSeed()}
	c.most.specs, c.most.kept = maxSpecs, maxKept
	return c
}

// note tells people what a reader passed over or decided.
func (c *collector) note(format string, args ...any) {
	c.reading.Notes = append(c.reading.Notes, fmt.Sprintf(format, args...))
}

// add appends a spec that is not there yet.
func (c *collector) add(s reports.Spec) error {
	s.Message = reports.Shorten(s.Message)
	s.Output = reports.Shorten(s.Output)
	n := len(s.Message) + len(s.Output) + len(s.Leaf) + len(s.Detail) + len(s.File)
	for _, texts := range [][]string{s.Containers, s.Labels} {
		for _, text := range texts {
			n += len(text)
		}
	}
	if err := c.keep(n); err != nil {
		return err
	}
	if len(c.results.Specs) >= c.most.specs {
		return c.tooMany()
	}
	c.results.Specs = append(c.results.Specs, s)
	return nil
}

func (c *collector) tooMany() error {
	return fmt.Errorf("%w: more than %d specs", ErrTooBig, c.most.specs)
}

// fail adds a failure that no spec carries to its suite.
func (c *collector) fail(s *reports.Suite, node, message, file string, line int) error {
	message = reports.Shorten(strings.TrimSpace(message))
	s.Failures = append(s.Failures, reports.SuiteFailure{Node: node, Message: message, File: c.relative(file), Line: line})
	return c.keep(len(node) + len(message) + overhead)
}

// suite adds a suite that has ended.
func (c *collector) suite(s reports.Suite) error {
	c.results.Suites = append(c.results.Suites, s)
	return c.keep(len(s.Path) + overhead)
}

// overhead is about what something costs beside its texts, in bytes.
const overhead = 400

// keep counts n bytes of texts.
func (c *collector) keep(n int) error {
	if c.kept += n; c.kept > c.most.kept {
		return fmt.Errorf("%w: more than %d MiB of names and messages", ErrTooBig, c.most.kept>>20)
	}
	return nil
}

// hash is that of the key but the occurrence.
func (c *collector) hash(s *reports.Spec) uint64 {
	c.name = s.AppendName(c.name[:0])
	return maphash.Bytes(c.seed, c.name)
}

// place says where a result stands. It tells results of the same texts apart in an order
// that does not change with the order of the file, as far as anything differs.
type place struct {
	host string // project, browser or machine that the result is of
	file string
	line int
	kin  uint64 // digest of the names in the same testsuite element
	id   int    // of the testsuite element, as the file numbers them
}

func (p place) compare(o place) int {
	return cmp.Or(strings.Compare(p.host, o.host), strings.Compare(p.file, o.file), cmp.Compare(p.line, o.line), cmp.Compare(p.kin, o.kin), cmp.Compare(p.id, o.id))
}

// number gives each spec from first on its occurrence among the specs of the same texts:
// by place, and by position in the file where their places are the same. A random order
// of running must not swap them.
func (c *collector) number(first int, places []place) {
	specs := c.results.Specs[first:]
	order := make([]int, len(specs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return places[a].compare(places[b]) })
	for _, i := range order {
		id := c.hash(&specs[i])
		c.index[id]++
		specs[i].Occurrence = c.index[id]
	}
}

// relative is name below the root, with slashes; name as it is where it lies elsewhere.
func (c *collector) relative(name string) string {
	if c.root == "" || !filepath.IsAbs(name) {
		return name
	}
	rel, err := filepath.Rel(c.root, name)
	if err != nil {
		return name
	}
	rel = filepath.ToSlash(rel)
	if rel == ".." || strings.HasPrefix(rel, "../") {
		return name
	}
	return path.Clean(rel)
}

// sane reports whether a duration is one: in seconds, not negative, at most 30 years.
func sane(s float64) bool { return s >= 0 && s < 1e9 }
