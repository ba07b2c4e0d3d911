package child

import (
	"context"
	"fmt"
	"os"
	"os/exec"
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

// The time of a process that is running is that of now, not of the last tick, and reading it leaves the
// policy, the priority and the length of a turn as they were.
func TestCPUTime(t *testing.T) {
	for _, policy := range []uint32{unix.SCHED_NORMAL, unix.SCHED_BATCH} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, self("working").Path)
		cmd.Env = self("working").Env
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
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
