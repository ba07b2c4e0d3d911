package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
)

// program returns a command that runs this program in dir.
func program(t testing.TB, dir string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Args[0], cmd.Dir = "flujo-harness", dir
	return cmd
}

// eventually waits until is returns true. what describes the condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after two minutes", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ended waits until a process has ended by itself, and kills it if that takes too long.
func ended(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	const patience = 2 * time.Minute
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }) // it may have ended
	_ = cmd.Wait()                                                      // the caller looks at its state
	if !kill.Stop() {
		t.Fatalf("%q has not ended after %v", cmd.Args, patience)
	}
}

// gone reports whether a process has ended.
func gone(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.HasPrefix(string(text[bytes.LastIndexByte(text, ')')+1:]), " Z")
}

// A killed run leaves no test program behind, although test programs are child processes of go
// test.
func TestAKilledRunLeavesNoTests(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/shop\n\ngo 1.24\n", "shop_test.go": `package shop

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func TestShop(t *testing.T) {
	if err := os.WriteFile("pid.tmp", []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename("pid.tmp", "pid"); err != nil {
		t.Fatal(err)
	}
	for {
		time.Sleep(time.Hour)
	}
}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := program(t, dir, "run", "--no-measure")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	eventually(t, "the test runs", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "pid"))
		_, scanErr := fmt.Sscan(string(text), &pid)
		return err == nil && scanErr == nil
	})
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "the test program has ended", func() bool { return gone(pid) })
}

// The first signal ends a command that waits for input, from an open pipe or from a named pipe
// without a writer.
func TestTheFirstInterruptEndsReading(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		interrupt := func(args []string, ready func(in io.WriteCloser, out *bufio.Reader) error) {
			cmd := program(t, dir, args...)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(ready(in, bufio.NewReader(out)), cmd.Process.Signal(sig)); err != nil {
				t.Fatal(err)
			}
			ended(t, cmd) // unless it goes on reading
			if code := cmd.ProcessState.ExitCode(); code != cli.ExitInterrupted {
				t.Errorf("%q, %v: exit %d, want %d", args, sig, code, cli.ExitInterrupted)
			}
		}
		interrupt([]string{"ingest", "-"}, func(in io.WriteCloser, _ *bufio.Reader) error {
			_, err := io.WriteString(in, "<testsuite>"+strings.Repeat(" ", 1<<20)) // more than a pipe buffers, so the command is reading
			return err
		})
		interrupt([]string{"ingest", "-", fifo}, func(in io.WriteCloser, out *bufio.Reader) error {
			_, err := io.WriteString(in, `<testsuite tests="1"><testcase name="a" time="1"/></testsuite>`)
			if err := errors.Join(err, in.Close()); err != nil {
				return err
			}
			line, err := out.ReadString('\n')
			if !strings.HasPrefix(line, "standard input: JUnit") {
				err = errors.Join(err, fmt.Errorf("it printed %q", line))
			}
			return err
		})
	}
}

// The end of the context may cause a second signal, which must not be caught. With one processor,
// what waits for the end of a context is called in random order.
func TestASecondSignalIsNotCaught(t *testing.T) {
	const child = "FLUJO_TEST_SECOND_SIGNAL"
	kill := func() { _ = syscall.Kill(os.Getpid(), syscall.SIGTERM) }
	if os.Getenv(child) != "" {
		caught := make(chan bool)
		context.AfterFunc(interruptible(syscall.SIGTERM), func() {
			kill()
			close(caught)
		})
		kill()
		<-caught
		return
	}
	for range 20 {
		cmd := program(t, t.TempDir(), "-test.run=^TestASecondSignalIsNotCaught$")
		cmd.Args[0], cmd.Env = cmd.Path, append(os.Environ(), child+"=1", "GOMAXPROCS=1")
		out, _ := cmd.CombinedOutput() // its state is looked at
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
			t.Fatalf("%v, want an end by the second signal: %s", cmd.ProcessState, out)
		}
	}
}

// The first signal is forwarded to the tests, and the command waits for them. A second one ends
// it immediately, by the signal itself, and leaves no processes.
func TestTheSecondInterruptEndsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/shop\n\ngo 1.24\n", "shop_test.go": `package shop

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
)

func TestShop(t *testing.T) {
	heard := make(chan os.Signal, 10)
	signal.Notify(heard, os.Interrupt, syscall.SIGTERM)
	if err := os.WriteFile("began", []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		t.Fatal(err)
	}
	<-heard
	if err := os.WriteFile("heard", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range heard { // it does not end for any of them
	}
}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for _, name := range []string{"began", "heard"} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		cmd := program(t, dir, "run", "--no-measure")
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var pid int
		eventually(t, "the test runs", func() bool {
			text, err := os.ReadFile(filepath.Join(dir, "began"))
			_, scanErr := fmt.Sscan(string(text), &pid)
			return err == nil && scanErr == nil
		})
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the test has heard the first signal", func() bool {
			_, err := os.Stat(filepath.Join(dir, "heard"))
			return err == nil
		})
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		ended(t, cmd)
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig {
			t.Errorf("%v: %v, want an end by the second signal: %s", sig, cmd.ProcessState, said.String())
		}
		eventually(t, "the test program has ended", func() bool { return gone(pid) })
	}
}
