package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/live"
)

const events = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestA"}
{"Action":"run","Package":"m/a","Test":"TestA/one"}
{"Action":"output","Package":"m/a","Test":"TestA/one","Output":"    a_test.go:7: got 1, want 2\n"}
{"Action":"output","Package":"m/a","Test":"TestA/one","Output":"    --- FAIL: TestA/one (0.01s)\n"}
{"Action":"fail","Package":"m/a","Test":"TestA/one","Elapsed":0.01}
{"Action":"fail","Package":"m/a","Test":"TestA","Elapsed":0.01}
{"Action":"run","Package":"m/a","Test":"TestB"}
{"Action":"skip","Package":"m/a","Test":"TestB","Elapsed":0}
{"Action":"run","Package":"m/a","Test":"TestC"}
{"Action":"pass","Package":"m/a","Test":"TestC","Elapsed":0.5}
{"Action":"run","Package":"m/a","Test":"TestD"}
{"Action":"run","Package":"m/a","Test":"TestD/with/slash"}
{"Action":"pass","Package":"m/a","Test":"TestD/with/slash","Elapsed":0.1}
{"Action":"pass","Package":"m/a","Test":"TestD","Elapsed":0.1}
{"Action":"output","Package":"m/a","Output":"FAIL\n"}
{"Action":"fail","Package":"m/a","Elapsed":0.6}
{"ImportPath":"m/b [m/b.test]","Action":"build-output","Output":"b.go:1:1: undefined: x\n"}
{"ImportPath":"m/b [m/b.test]","Action":"build-fail"}
{"Action":"start","Package":"m/b"}
{"Action":"output","Package":"m/b","Output":"FAIL\tm/b [build failed]\n"}
{"Action":"fail","Package":"m/b","Elapsed":0,"FailedBuild":"m/b [m/b.test]"}
`

// The specs reported while go test runs are those of the results, wherever the file ended each time it
// was read.
func TestNewsOfGoTest(t *testing.T) {
	read, err := ingest.Read(strings.NewReader(events), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{1, 50, 333, len(events)} {
		path := filepath.Join(t.TempDir(), "events.jsonl")
		g, all := newGoNews("", path), live.News{}
		for at := 0; at < len(events); at += step {
			f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(events[at:min(len(events), at+step)]); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			n := g.look()
			all.Specs, all.Begun, all.Ended, all.Broken = append(all.Specs, n.Specs...), append(all.Begun, n.Begun...), append(all.Ended, n.Ended...), append(all.Broken, n.Broken...)
		}
		if len(g.packages) > 0 {
			t.Errorf("%d packages that ended are still stored", len(g.packages))
		}
		if diff := cmp.Diff(summaries(read.Results.Specs), summaries(all.Specs)); diff != "" {
			t.Errorf("in steps of %d bytes: %s", step, diff)
		}
		if got, want := [][]string{all.Begun, all.Ended, all.Broken}, [][]string{{"m/a", "m/b"}, {"m/a", "m/b"}, {"m/b"}}; !cmp.Equal(got, want) {
			t.Errorf("suites: %q, want %q", got, want)
		}
	}
}

// A failed test that another, passing test ran by testing.RunTests is not part of the results, and it
// is not reported as a failure while the tests run, either. Other tests are reported.
func TestNewsOfInnerTests(t *testing.T) {
	for _, name := range []string{"go1.26-inner", "go1.26-inner-red"} {
		path := filepath.Join("..", "ingest", "testdata", "gotest", name+".jsonl")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		read, err := ingest.Read(bytes.NewReader(text), "")
		if err != nil {
			t.Fatal(err)
		}
		got := newGoNews("", path).look().Specs
		if diff := cmp.Diff(summaries(read.Results.Specs), summaries(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A failure is reported as soon as it is certain to count. For a subtest that is when its parent ends,
// not only when the package ends.
func TestNewsOfFailedSubtests(t *testing.T) {
	g, reported := newGoNews("", ""), 0
	for i, line := range []struct {
		action, test string
		specs        int // reported so far
	}{
		{"run", "TestA", 0}, {"pause", "TestA", 0}, {"run", "TestB", 0}, {"fail", "TestB", 1}, {"cont", "TestA", 1}, {"run", "TestA/x", 1},
		{"run", "TestA/y", 1}, {"fail", "TestA/x", 1}, {"pass", "TestA/y", 2}, {"fail", "TestA", 3},
	} {
		var n live.News
		g.event(fmt.Appendf(nil, `{"Action":%q,"Package":"m","Test":%q}`, line.action, line.test), &n)
		if reported += len(n.Specs); reported != line.specs {
			t.Errorf("after event %d, %s %s: %d specs, want %d", i+1, line.action, line.test, reported, line.specs)
		}
	}
}

// summaries returns the facts of specs that live news contain, sorted.
func summaries(specs []reports.Spec) (all []string) {
	for _, s := range specs {
		message, _, _ := strings.Cut(s.Message, "\n")
		if s.State != reports.Failed {
			message = ""
		}
		all = append(all, strings.Join([]string{s.Key(), string(s.State), s.File, s.Duration.String(), message}, " | "))
	}
	slices.Sort(all)
	return all
}

// Suites of Ginkgo run one after the other; specs are reported when they end.
func TestNewsOfGinkgo(t *testing.T) {
	tmp := t.TempDir()
	log := filepath.Join(tmp, "ginkgo.log")
	if err := os.WriteFile(log, []byte("\x1b[1mFailed to compile broken:\x1b[0m\n\nx.go:1: undefined\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(tmp, "events"), 0o755); err != nil {
		t.Fatal(err)
	}
	tell := func(file, suite string, ended bool, leaf string, state types.SpecState) {
		line, err := json.Marshal(specEvent{Suite: filepath.Join(tmp, suite), Ended: ended, Spec: types.SpecReport{LeafNodeType: types.NodeTypeIt, LeafNodeText: leaf,
			State: state, RunTime: time.Second, NumAttempts: 1, Failure: types.Failure{Message: "it is " + leaf}}})
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(tmp, "events", file), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(append(line, '\n'))
		if err != nil || f.Close() != nil {
			t.Fatal(err)
		}
	}
	g := newGinkgoNews(tmp, tmp, log)
	tell("1.jsonl", "one", false, "red", types.SpecStateInvalid)
	if n := g.look(); !cmp.Equal(n, live.News{Begun: []string{"one"}, Broken: []string{"broken"}, Now: "red"}) {
		t.Errorf("first: %+v", n)
	}
	tell("1.jsonl", "one", true, "red", types.SpecStateFailed)
	tell("2.jsonl", "two", true, "green", types.SpecStatePassed)
	n := g.look()
	if !cmp.Equal(n.Begun, []string{"two"}) || !cmp.Equal(n.Ended, []string{"one"}) || len(n.Specs) != 2 {
		t.Fatalf("then: %+v", n)
	}
	if s := n.Specs[0]; s.Suite != "one" || s.State != reports.Failed || !strings.Contains(s.Message, "it is red") || s.Duration != time.Second {
		t.Errorf("failed: %+v", s)
	}
	if s := n.Specs[1]; s.Suite != "two" || s.State != reports.Passed {
		t.Errorf("passed: %+v", s)
	}
	if n := g.look(); !cmp.Equal(n, live.News{}) {
		t.Errorf("again: %+v", n)
	}
}
