package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/flujo/flujo-harness/reports/live"
)

// A run can be followed while its tests run: that they compile, the specs that ended with their
// messages, and that the process was killed. After the next run nothing is left of it.
func TestRunInProgress(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/shop\n\ngo 1.24\n",
		"slow/a_test.go": `package slow

import (
	"os"
	"testing"
	"time"
)

func TestRed(t *testing.T) { t.Error("got 495, want 595") }

func TestWaits(t *testing.T) {
	for os.Getenv("SHOP_WAITS") != "" {
		time.Sleep(time.Millisecond)
	}
}
`} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	exe := installed(t)
	run := func(env ...string) *exec.Cmd {
		cmd := exec.Command(exe, "run", "--no-measure")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		return cmd
	}
	following := func() []live.Following {
		return live.Follow(filepath.Join(dir, ".flujo"), filepath.Join(dir, ".flujo", "history.db"))
	}
	if out, err := run().CombinedOutput(); err == nil { // gives the expected number of specs
		t.Fatalf("the red test passed: %s", out)
	}
	if all := following(); all != nil {
		t.Errorf("after the end of a run: %+v", all)
	}
	cmd := run("SHOP_WAITS=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	eventually(t, "one of two specs has ended", func() bool {
		all := following()
		return len(all) == 1 && !all[0].CutOff && all[0].Done() == 1 && all[0].Known == 2 && all[0].Now == "TestWaits"
	})
	r := following()[0]
	if len(r.Failed) != 1 || r.Failed[0].Name != "slow > TestRed" || r.Failed[0].Line != 9 || r.Failed[0].Message != "a_test.go:9: got 495, want 595" {
		t.Errorf("failures: %+v", r.Failed)
	}
	if len(r.Suites) != 1 || r.Suites[0].State != live.Running {
		t.Errorf("suites: %+v", r.Suites)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "it is seen as cut off", func() bool {
		all := following()
		return len(all) == 1 && all[0].CutOff && all[0].Done() == 1
	})
	_ = run().Run() // the test fails
	if all := following(); all != nil {
		t.Errorf("after the next run: %+v", all)
	}
}
