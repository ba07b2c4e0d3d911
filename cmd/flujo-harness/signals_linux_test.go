package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
)

// TestSignals interrupts, terminates and kills the commands that run long and start processes,
// and checks what they leave behind: processes, files in the temporary folder, git work trees,
// temporary files next to results. By default it does so once, for run. The whole table needs a
// variable:
//
//	FLUJO_SIGNALS=12 go test ./cmd/flujo-harness -run TestSignals -v -timeout 60m
//
// where 12 is how often each signal is sent, each time a little later.
func TestSignals(t *testing.T) {
	if testing.Short() {
		t.Skip("builds modules")
	}
	rounds, err := strconv.Atoi(os.Getenv("FLUJO_SIGNALS"))
	whole := err == nil
	if !whole {
		rounds = 1
	}
	run, compare := signalModules(t)
	exe := installed(t)
	commands := []struct {
		name, dir string
		args      []string
		again     []string // short call that cleans up after a killed one
	}{
		{"run", run, []string{"run", "--no-measure", "--json", "out.json"}, []string{"run", "./quick", "--no-measure", "--json", "out.json"}},
		{"bench", "", []string{"bench", "--sessions", "200", "--json", "out.json"}, []string{"bench", "--sessions", "2", "--json", "out.json"}},
		{"compare", compare, []string{"compare", "base", "--time", "5m", "--margin", "1", "--json", "out.json"}, []string{"compare", "base", "--bench", "Nothing"}},
		{"selftest errors", "", []string{"selftest", "errors", "--n", "100", "--burners", "1", "--raw", "raw.jsonl"}, []string{"bench", "--sessions", "2"}},
		{"calibrate", "", []string{"calibrate", "--sessions", "200"}, []string{"bench", "--sessions", "2"}},
	}
	for _, c := range commands {
		if !whole && c.name != "run" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
				dir := c.dir
				if dir == "" {
					dir = t.TempDir()
				}
				row := signalled{exits: map[int]int{}}
				for n := range rounds {
					row.send(t, exe, dir, c.args, sig, time.Duration(n)*150*time.Millisecond)
					row.next(t, exe, dir, c.again)
				}
				t.Logf("%s: %v: %d times, exit codes %v; left: %d processes, %d files, %d files after the next call", c.name, sig, rounds, row.exits, row.processes, row.files, row.after)
				want := cli.ExitInterrupted
				if sig == syscall.SIGKILL {
					want = -1
				}
				if row.exits[want] != rounds || row.processes > 0 || row.after > 0 || sig != syscall.SIGKILL && row.files > row.templates {
					t.Errorf("want exit code %d each time and nothing left: %q", want, row.which)
				}
			}
		})
	}
}

// signalled is a row of the table.
type signalled struct {
	exits                   map[int]int
	processes, files, after int
	templates               int // templates of databases that a killed process left
	which                   []string
}

// send starts the command, signals it once it has started a process and some time has passed, and
// counts what is left.
func (r *signalled) send(t *testing.T, exe, dir string, args []string, sig syscall.Signal, later time.Duration) {
	temp := filepath.Join(dir, "..", filepath.Base(dir)+".tmp")
	if err := os.MkdirAll(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	before := leftovers(t, dir, temp)
	cmd := exec.Command(exe, args...)
	cmd.Dir = dir
	mark := fmt.Sprintf("FLUJO_SIGNALS_TEST=%d.%d", os.Getpid(), time.Now().UnixNano()) // inherited by all processes that it starts
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, mark)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(t, fmt.Sprintf("%q has started a process", args), func() bool {
		if len(marked(mark)) > 1 {
			return true
		}
		select {
		case <-ended:
			t.Fatalf("%q ended by itself: %s", args, said.String())
		default:
		}
		return false
	})
	time.Sleep(later) // varies the point at which the signal arrives
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%q: %v: %s", args, err, said.String())
	}
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Errorf("%q, %v: has not ended after two minutes: %s", args, sig, said.String())
		_ = cmd.Process.Kill()
		<-ended
	}
	r.exits[cmd.ProcessState.ExitCode()]++
	left := func() []int { return marked(mark) }
	for deadline := time.Now().Add(20 * time.Second); len(left()) > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	for _, pid := range left() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		r.processes, r.which = r.processes+1, append(r.which, string(text))
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, path := range leftovers(t, dir, temp) {
		if !slices.Contains(before, path) {
			r.files, r.which = r.files+1, append(r.which, path)
			r.templates += strings.Count(path, "flujo-template-")
		}
	}
}

// next runs another command and counts what is left after it.
func (r *signalled) next(t *testing.T, exe, dir string, args []string) {
	temp := filepath.Join(dir, "..", filepath.Base(dir)+".tmp")
	for _, path := range templatesIn(t, temp) { // as if some time had passed
		if old := time.Now().Add(-time.Hour); os.Chtimes(path, old, old) != nil {
			t.Fatal(path)
		}
	}
	cmd := exec.Command(exe, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	out, _ := cmd.CombinedOutput() // any outcome is allowed
	for _, path := range leftovers(t, dir, temp) {
		r.after, r.which = r.after+1, append(r.which, "after "+string(out[:min(len(out), 80)])+": "+path)
	}
}

func templatesIn(t *testing.T, temp string) []string {
	paths, err := filepath.Glob(filepath.Join(temp, "flujo-template-*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// installed copies this program under its real name, by which it starts its sessions.
func installed(t *testing.T) string {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "flujo-harness")
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// leftovers lists temporary files: everything in the temporary folder, files in the folder of the
// command that are named like temporary ones, and git work trees.
func leftovers(t *testing.T, dir, temp string) (all []string) {
	entries, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "go-") { // go build and go test remove their files unless they are killed
			all = append(all, "temporary folder: "+e.Name())
		}
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		name := e.Name()
		for _, sign := range []string{".flujo-", "measure-", "compare-", ".part", "-wal.tmp", "session-"} {
			if strings.Contains(name, sign) && !strings.HasSuffix(name, ".go") {
				all = append(all, path)
				return fs.SkipDir
			}
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
		list := exec.Command("git", "worktree", "list", "--porcelain")
		list.Dir = dir
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(out, []byte("worktree ")); n > 1 {
			all = append(all, fmt.Sprintf("%d work trees", n-1))
		}
	}
	return all
}

// marked returns the running processes whose environment contains mark.
func marked(mark string) (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is valid
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte(mark)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && !gone(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// signalModules creates a module with a test that does not end, and one with a benchmark at two
// revisions.
func signalModules(t *testing.T) (run, compare string) {
	run, compare = filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "compare")
	const test = "package %s\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n\nfunc TestIt(t *testing.T) { time.Sleep(%s) }\n"
	for path, text := range map[string]string{
		run + "/go.mod":              "module example.com/shop\n\ngo 1.24\n",
		run + "/slow/slow_test.go":   fmt.Sprintf(test, "slow", "time.Hour"),
		run + "/quick/quick_test.go": fmt.Sprintf(test, "quick", "0"),
		compare + "/go.mod":          "module example.com/shop\n\ngo 1.24\n",
		compare + "/shop_test.go":    "package shop\n\nimport \"testing\"\n\nvar N = 1000\n\nfunc BenchmarkIt(b *testing.B) {\n\tfor b.Loop() {\n\t\tfor i := range N {\n\t\t\tN = max(1000, i)\n\t\t}\n\t}\n}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "base"}, {"tag", "base"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = compare
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	f, err := os.OpenFile(compare+"/shop_test.go", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\nvar changed = N\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return run, compare
}
