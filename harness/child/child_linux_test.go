package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const kernelEndsChildren = true

// running reports whether the process exists and is not a zombie.
func running(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := string(text)[strings.LastIndexByte(string(text), ')')+1:]
	return !strings.HasPrefix(state, " Z") && !strings.HasPrefix(state, " X")
}

// reader is an output that notes on which processors the thread that writes to it may run.
type reader struct {
	cpus []int
	text strings.Builder
}

func (r *reader) Write(p []byte) (int, error) {
	r.cpus = CPUs()
	return r.text.Write(p)
}

// The output of a child of RunOn is read on the other processors, to its end; if a process that it started holds
// the output open, for cmd.WaitDelay longer.
func TestRunOnReadsElsewhere(t *testing.T) {
	all := CPUs()
	for script, want := range map[string]struct {
		out string
		err error
	}{
		"echo one; echo two":             {"one\ntwo\n", nil},
		"echo one; sleep 60 & echo two":  {"one\ntwo\n", exec.ErrWaitDelay},
		"yes one & sleep 0.1; exec true": {"one\none\n", exec.ErrWaitDelay},
	} {
		for _, cpu := range all {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
			cmd.WaitDelay = 100 * time.Millisecond
			var out reader
			cmd.Stdout = &out
			Group(cmd)
			err := RunOn(cmd, cpu)
			EndGroup(cmd.Process.Pid)
			if got := out.text.String(); !errors.Is(err, want.err) || got != want.out && (len(got) < 100 || !strings.HasPrefix(got, want.out)) {
				t.Errorf("%s: error %v, output %.100q", script, err, got)
			}
			if len(all) > 1 && (len(out.cpus) != len(all)-1 || slices.Contains(out.cpus, cpu)) {
				t.Errorf("%s on processor %d was read on %v", script, cpu, out.cpus)
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "exit 3") // with no output
	if err := RunOn(cmd, all[0]); cmd.ProcessState.ExitCode() != 3 {
		t.Error(err)
	}
	cmd = exec.CommandContext(t.Context(), "yes")
	cmd.Stdout = full{}
	if err := RunOn(cmd, all[0]); err == nil {
		t.Error("the error of the output is lost")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd = exec.CommandContext(ctx, "sh", "-c", "echo one; exec sleep 60")
	var out strings.Builder
	cmd.Stdout = &ending{&out, cancel}
	if err := RunOn(cmd, all[0]); err == nil || out.String() != "one\n" {
		t.Errorf("cancelled: error %v, output %q", err, out.String())
	}
}

// full is an output that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

// ending is an output that calls a function when it gets something.
type ending struct {
	io.Writer
	end func()
}

func (e *ending) Write(p []byte) (int, error) {
	e.end()
	return e.Writer.Write(p)
}

// The time of a process that is running is that of now, not of the last tick, and reading it leaves the
// policy, the priority and the length of a turn as they were.
func TestCPUTime(t *testing.T) {
	for _, policy := range []uint32{unix.SCHED_NORMAL, unix.SCHED_BATCH} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := self("working")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() }) // if the test has failed
		pid := cmd.Process.Pid
		if err := unix.SchedSetAttr(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Nice: 3}, 0); err != nil {
			t.Fatal(err)
		}
		before, err := unix.SchedGetAttr(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		const readings, tick = 4, time.Millisecond // or more: at most 1,000 ticks a second
		for now := false; !now; {
			began, last := time.Now(), CPUTime(pid)
			now = last > 0
			for range readings {
				next := CPUTime(pid)
				now, last = now && next > last, next
			}
			now = now && time.Since(began) < tick
			if ctx.Err() != nil {
				t.Fatalf("policy %d: no %d readings within %v that differ", policy, readings+1, tick)
			}
		}
		if after, err := unix.SchedGetAttr(pid, 0); err != nil || cmp.Diff(before, after) != "" {
			t.Errorf("policy %d: %v\n%s", policy, err, cmp.Diff(before, after))
		}
		_, _ = cmd.Process.Kill(), cmd.Wait()
		if used := CPUTime(pid); used != 0 {
			t.Errorf("a process that is gone has used %v", used)
		}
	}
}
