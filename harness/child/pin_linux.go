package child

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPUs returns the numbers of the processors on which this process may run, or nil if this system
// does not tell or cannot restrict a child to one of them.
func CPUs() (numbers []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for n := 0; len(numbers) < set.Count(); n++ {
		if set.IsSet(n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// RunOn calls [Run] for a child that runs on one processor only, whose number is one of [CPUs]. The
// child inherits the restriction from the thread that starts it, so that the runtime of a Go program
// sees a single processor from its start.
func RunOn(cmd *exec.Cmd, cpu int) error {
	_, err := onThread(cmd, func() ([]byte, error) {
		var before, one unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			return nil, fmt.Errorf("find the processors of this process: %w", err)
		}
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			return nil, fmt.Errorf("restrict a child to processor %d: %w", cpu, err)
		}
		started := cmd.Start()
		lifted := unix.SchedSetaffinity(0, &before)
		if started != nil {
			return nil, started
		}
		if lifted != nil {
			_, _ = cmd.Process.Kill(), cmd.Wait()
			return nil, fmt.Errorf("lift the restriction to processor %d: %w", cpu, lifted)
		}
		return nil, cmd.Wait()
	})
	return err
}

// CPUTime returns the processor time, user and system, that a process has used so far, with a resolution of
// nanoseconds. It is 0 if the process is unknown: it has not been started, or was waited for.
//
// The kernel adds the time of a running thread at ticks and when the thread changes, but not when another process
// reads the clock, so that the time could be 4 ms old. CPUTime has the time added first.
func CPUTime(pid int) time.Duration {
	const scheduled = 2                 // CPUCLOCK_SCHED of the kernel
	clock := int32(^pid)<<3 | scheduled // see clock_getcpuclockid(3)
	var used unix.Timespec
	if pid <= 0 {
		return 0
	}
	addTime(pid)
	if unix.ClockGettime(clock, &used) != nil {
		return 0
	}
	return time.Duration(used.Nano())
}

// addTime makes the kernel add the time of the threads of a process that are running. It does so when
// the policy of a thread changes; each policy is changed back at once. Errors are ignored: where
// a sandbox forbids this, the time is as old as it would be without it.
func addTime(pid int) {
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range threads {
		thread, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		plain, err := unix.SchedGetAttr(thread, 0)
		if err != nil || plain.Policy != unix.SCHED_NORMAL && plain.Policy != unix.SCHED_BATCH { // others may not be allowed to return
			continue
		}
		plain.Runtime = 0 // the length of a turn, which would not follow the default any more
		other := *plain
		other.Policy = unix.SCHED_NORMAL + unix.SCHED_BATCH - plain.Policy
		_, _ = unix.SchedSetAttr(thread, &other, 0), unix.SchedSetAttr(thread, plain, 0)
	}
}
