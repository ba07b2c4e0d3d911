package live

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
)

func spec(suite, leaf string, state reports.State, took time.Duration) reports.Spec {
	return reports.Spec{Suite: suite, Leaf: leaf, Occurrence: 1, State: state, Duration: took}
}

// A tracker counts what comes, and guesses the time left by the run before.
func TestTracker(t *testing.T) {
	before := &reports.Results{Specs: []reports.Spec{
		spec("a", "1", reports.Passed, time.Second), spec("a", "2", reports.Passed, time.Second), spec("b", "3", reports.Passed, 2*time.Second),
		spec("other", "4", reports.Passed, time.Hour), // not of this run
	}}
	now := time.Unix(1000, 0).UTC()
	tr := NewTracker(Run{Command: "run"}, Expect(before, []string{"a", "b", "c"}), func() time.Time { return now })
	tr.Add(News{Stage: "running", Suites: []string{"a", "b", "c"}})
	if r := tr.Run(); r.Waiting() != 3 || r.Known != 3 || r.Left != -1 {
		t.Errorf("before any spec: %+v", r)
	}
	now = now.Add(5 * time.Second) // it was compiled
	tr.Add(News{Begun: []string{"a"}, Now: "1"})
	now = now.Add(2 * time.Second) // twice as slow as before
	bad := spec("a", "1", reports.Failed, 2*time.Second)
	bad.File, bad.Line, bad.Message = "a_test.go", 7, strings.Repeat("x", 2*maxText)
	tr.Add(News{Specs: []reports.Spec{bad}})
	r := tr.Run()
	if r.Done() != 1 || r.Counts.Failed != 1 || r.Waiting() != 2 || r.Left != 6 { // 3 of 4 s are left, each takes 2
		t.Errorf("after the first spec: %+v", r)
	}
	if f := r.Failed; len(f) != 1 || f[0].Name != "a > 1" || f[0].Line != 7 || len(f[0].Message) > maxText+8 {
		t.Errorf("failures: %+v", f)
	}
	ended := tr.Add(News{Specs: []reports.Spec{spec("a", "2", reports.Skipped, 0)}, Ended: []string{"a"}, Broken: []string{"c"}})
	want := []Suite{{Name: "c", State: Broken}, {Name: "a", State: Ended, Counts: reports.Counts{Failed: 1, Skipped: 1}, Began: time.Unix(1005, 0).UTC(), Seconds: 2}}
	if diff := cmp.Diff(want, ended); diff != "" {
		t.Errorf("suites that ended: %s", diff)
	}
	if again := tr.Add(News{Ended: []string{"a", "c"}, Broken: []string{"c"}}); again != nil {
		t.Errorf("ended twice: %+v", again)
	}
	tr.Add(News{Again: true})
	if r := tr.Run(); r.Done() != 0 || r.Waiting() != 3 || len(r.Failed) != 1 || r.Left != -1 {
		t.Errorf("in the second pass: %+v", r)
	}
}

func TestTrackerKeepsAFewFailures(t *testing.T) {
	tr := NewTracker(Run{}, Expected{}, time.Now)
	var n News
	for range maxFailed + 5 {
		n.Specs = append(n.Specs, spec("a", "x", reports.Failed, 0))
	}
	tr.Add(n)
	if r := tr.Run(); len(r.Failed) != maxFailed || r.More != 5 || len(r.Last) != maxLast {
		t.Errorf("%d failures, %d more, %d last", len(r.Failed), r.More, len(r.Last))
	}
}

// The process that follows a run sees it, and that it was cut off when its process was killed.
func TestFollow(t *testing.T) {
	base := t.TempDir()
	if os.Getenv("LIVE_TEST_BASE") != "" {
		base = os.Getenv("LIVE_TEST_BASE")
		f, err := Create(base)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Write(Run{Version: version, History: "/h.db", Command: "run", Known: 7}); err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("written\n")
		for { // until it is killed; with select{} a program without cgo would end with a deadlock
			time.Sleep(time.Hour)
		}
	}
	if all := Follow(base, "/h.db"); all != nil {
		t.Errorf("in an empty folder: %+v", all)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFollow$")
	cmd.Env = append(os.Environ(), "LIVE_TEST_BASE="+base)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	all := Follow(base, "/h.db")
	if len(all) != 1 || all[0].CutOff || all[0].Known != 7 {
		t.Errorf("while it runs: %+v", all)
	}
	if other := Follow(base, "/other.db"); other != nil {
		t.Errorf("of another history: %+v", other)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if all := Follow(base, "/h.db"); len(all) != 1 || !all[0].CutOff {
		t.Errorf("after it was killed: %+v", all)
	}

	f, err := Create(base) // the next run removes what was left
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write(Run{Version: version, History: "/h.db", Command: "next"}); err != nil {
		t.Fatal(err)
	}
	if all := Follow(base, "/h.db"); len(all) != 1 || all[0].Command != "next" {
		t.Errorf("after the next began: %+v", all)
	}
	for _, text := range []string{"", "{", `{"version":99,"history":"/h.db"}`} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(f.path), fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if all := Follow(base, "/h.db"); all != nil {
			t.Errorf("%q: %+v", text, all)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(base); err != nil || len(left) > 0 {
		t.Errorf("left after the end: %v, %v", left, err)
	}
}
