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

// collector receives the specs that a reader finds and enforces the limits of one file.
type collector struct {
	reading *Reading
	results *reports.Results
	root    string
	folders *goFolders // folders of Go modules; nil until needed
	kept    int        // bytes of texts kept so far
	index   map[uint64]int
	seed    maphash.Seed
	files   attachments
	name    []byte // buffer
	most    struct{ specs, kept int }
}

func newCollector(reading *Reading, root string) *collector {
	c := &collector{reading: reading, results: reading.Results, root: root, index: map[uint64]int{}, seed: maphash.MakeSeed()}
	c.most.specs, c.most.kept = maxSpecs, maxKept
	c.files.bases = []string{"."}
	return c
}

// note adds a note for users about something that the reader ignored or assumed.
func (c *collector) note(format string, args ...any) {
	c.reading.Notes = append(c.reading.Notes, fmt.Sprintf(format, args...))
}

// add appends a spec that is not in the results yet.
func (c *collector) add(s reports.Spec) error {
	s.Message = reports.Shorten(s.Message)
	s.Output = reports.Shorten(s.Output)
	n := len(s.Message) + len(s.Output) + len(s.Leaf) + len(s.Detail) + len(s.File)
	for _, texts := range [][]string{s.Containers, s.Labels} {
		for _, text := range texts {
			n += len(text)
		}
	}
	for _, a := range s.Attachments {
		n += len(a.Name) + len(a.Type) + len(a.Path) + 3*16 // the strings themselves
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

// fail adds a failure outside of specs to its suite.
func (c *collector) fail(s *reports.Suite, node, message, file string, line int) error {
	message = reports.Shorten(strings.TrimSpace(message))
	s.Failures = append(s.Failures, reports.SuiteFailure{Node: node, Message: message, File: c.relative(file), Line: line})
	return c.keep(len(node) + len(message) + overhead)
}

// suite adds a complete suite.
func (c *collector) suite(s reports.Suite) error {
	c.results.Suites = append(c.results.Suites, s)
	return c.keep(len(s.Path) + overhead)
}

// overhead is the approximate memory of a suite or failure in addition to its texts, in bytes.
const overhead = 400

// keep counts n bytes of texts towards the limit.
func (c *collector) keep(n int) error {
	if c.kept += n; c.kept > c.most.kept {
		return fmt.Errorf("%w: more than %d MiB of names and messages", ErrTooBig, c.most.kept>>20)
	}
	return nil
}

// hash returns the hash of a spec's key without the occurrence.
func (c *collector) hash(s *reports.Spec) uint64 {
	c.name = s.AppendName(c.name[:0])
	return maphash.Bytes(c.seed, c.name)
}

// place distinguishes results with the same texts. As far as any of its fields differ, it gives
// them an order that does not depend on the order in the file.
type place struct {
	host string // project, browser or machine on which the test ran
	file string
	line int
	kin  uint64 // digest of the names in the same testsuite element
	id   int    // number of the testsuite element in the file
}

func (p place) compare(o place) int {
	return cmp.Or(strings.Compare(p.host, o.host), strings.Compare(p.file, o.file), cmp.Compare(p.line, o.line), cmp.Compare(p.kin, o.kin), cmp.Compare(p.id, o.id))
}

// number numbers the occurrences of specs with the same texts, for all specs from first on. They
// are ordered by place, and by position in the file if their places are equal. So a random order
// of execution does not swap them.
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

// relative returns the path of a file relative to the root, with slashes, or name unchanged if it
// is not below the root.
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

// sane reports whether s, in seconds, is a plausible duration: not negative and below 1e9 s, about
// 30 years.
func sane(s float64) bool { return s >= 0 && s < 1e9 }
