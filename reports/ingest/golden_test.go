package ingest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

// The golden file contains the reading of each file in testdata, and the number of bytes that count
// towards the limit of a file. After -update read its difference: a changed line is another result of
// somebody's tests.
func TestReadingsGolden(t *testing.T) {
	const golden = "testdata/readings.golden.txt"
	var got strings.Builder
	err := filepath.WalkDir("testdata", func(name string, d fs.DirEntry, err error) error {
		switch name = filepath.ToSlash(name); {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "fuzz":
			return fs.SkipDir
		case !d.IsDir() && name != golden:
			name = strings.TrimPrefix(name, "testdata/")
			fmt.Fprintf(&got, "== %s\n%s\n", name, described(testFile(t, name)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"broken.ctrf.json", "broken.junit.xml"} { // files of package render
		data, err := os.ReadFile(filepath.Join("..", "render", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "== render/%s\n%s\n", name, described(data))
	}
	if *sample.Update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v: run go test ./reports/ingest -update", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("%s (go test ./reports/ingest -update writes it):\n%s", golden, diff)
	}
}

// described returns the reading of a file as text, or the error. Long texts and many specs are replaced
// by their digest.
func described(data []byte) string {
	r, err := Read(bytes.NewReader(data), "/src/shop")
	if err != nil {
		return err.Error() + "\n"
	}
	kept, err := bytesKept(data)
	if err != nil {
		return err.Error() + "\n"
	}
	var b, specs strings.Builder
	fmt.Fprintf(&b, "%s, %d bytes, started %s, took %v, no zone %v, commit %q, branch %q, build %q\n", r.Format, kept, stampOf(r.Started), r.Took, r.NoZone, r.Commit, r.Branch, r.Build)
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	for _, s := range r.Results.Suites {
		fmt.Fprintf(&b, "suite %q %q, started %s, %v, seed %d, focused %v\n", s.Path, s.Description, stampOf(s.Started), s.Duration, s.Seed, s.Focused)
		for _, f := range s.Failures {
			fmt.Fprintf(&b, "  failure of %q at %s:%d: %s\n", f.Node, f.File, f.Line, abridged(f.Message))
		}
	}
	for i := range r.Results.Specs {
		s := &r.Results.Specs[i]
		fmt.Fprintf(&specs, "spec %q %q %q #%d: %s %q, retried %v, attempts %d, %v, at %s:%d, labels %q", s.Suite, s.Containers, s.Leaf, s.Occurrence,
			s.State, s.Detail, s.Retried, s.Attempts, s.Duration, s.File, s.Line, s.Labels)
		for _, a := range s.Attachments {
			fmt.Fprintf(&specs, ", attached %q %q %q", a.Name, a.Type, a.Path)
		}
		if s.Message+s.Output != "" {
			fmt.Fprintf(&specs, "\n  message %s, output %s", abridged(s.Message), abridged(s.Output))
		}
		specs.WriteString("\n")
	}
	text := specs.String()
	if len(r.Results.Specs) > 100 {
		text = fmt.Sprintf("%d specs, SHA-256 %.8x\n", len(r.Results.Specs), sha256.Sum256([]byte(text)))
	}
	b.WriteString(text)
	for _, one := range r.Benchmarks {
		fmt.Fprintf(&b, "benchmark %q %q %v\n", one.Name, one.Unit, one.Values)
	}
	return b.String()
}

// bytesKept returns the number of bytes that reading a file counts towards the limit.
func bytesKept(data []byte) (int, error) {
	in, err := unpack(bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	format, err := in.detect()
	if err != nil {
		return 0, err
	}
	c := newCollector(&Reading{Results: &reports.Results{}}, "/src/shop")
	defer c.files.close()
	err = format.read(in, c)
	return c.kept, err
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func abridged(s string) string {
	const most = 300
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q… %d bytes, SHA-256 %.8x", s[:most], len(s), sha256.Sum256([]byte(s)))
}
