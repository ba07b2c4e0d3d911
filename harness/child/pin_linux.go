package child

import (
	"cmp"
	"errors"
	"fmt"
	"io"
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
//
// The thread that writes to cmd.Stdout runs on the other processors, if there are any: on the same one it
// could wait for the child for milliseconds, and a clock that is read in Write would be late.
func RunOn(cmd *exec.Cmd, cpu int) error {
	_, err := onThread(cmd, func() ([]byte, error) {
		var before, one unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			return nil, fmt.Errorf("find the processors of this process: %w", err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("make a pipe for the output of a child: %w", err)
		}
		defer func() { _ = r.Close() }()
		out := cmd.Stdout
		cmd.Stdout = w
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			_ = w.Close()
			return nil, fmt.Errorf("restrict a child to processor %d: %w", cpu, err)
		}
		started := cmd.Start()
		cmd.Stdout = out
		_ = w.Close() // the child has its own
		others := before
		if others.Clear(cpu); others.Count() == 0 {
			others = before
		}
		lifted := unix.SchedSetaffinity(0, &others)
		if started != nil {
			return nil, errors.Join(started, unix.SchedSetaffinity(0, &before))
		}
		if lifted != nil {
			_, _ = cmd.Process.Kill(), cmd.Wait()
			return nil, fmt.Errorf("lift the restriction to processor %d: %w", cpu, lifted)
		}
		copied := copyOutput(out, r, cmd)
		_ = r.Close() // a child that still writes gets an error, and does not wait
		if err := unix.SchedSetaffinity(0, &before); err != nil {
			copied = errors.Join(copied, fmt.Errorf("return to all processors: %w", err))
		}
		return nil, cmp.Or(cmd.Wait(), copied)
	})
	return err
}

// copyOutput copies the output of a started child on this thread, until its end. As
// [exec.Cmd.Wait] does, it waits for other processes that hold the output for cmd.WaitDelay after the end
// of the child, and then returns [exec.ErrWaitDelay].
func copyOutput(to io.Writer, from *os.File, cmd *exec.Cmd) error {
	const look = 50 * time.Millisecond // for the end of the child
	var ended time.Time
	looked := time.Now()
	buf := make([]byte, 32<<10)
	for {
		ready := []unix.PollFd{{Fd: int32(from.Fd()), Events: unix.POLLIN}} // Fd makes the reading thread block
		n, err := unix.Poll(ready, int(look.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for the output of a child: %w", err)
		}
		if cmd.WaitDelay > 0 && time.Since(looked) >= look {
			looked = time.Now()
			var end unix.Siginfo
			err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &end, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
			switch {
			case err != nil || end.Signo == 0: // it runs
			case ended.IsZero():
				ended = looked
			case looked.Sub(ended) > cmd.WaitDelay:
				return exec.ErrWaitDelay
			}
		}
		if n <= 0 {
			continue
		}
		n, err = from.Read(buf)
		if n > 0 && to != nil {
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the output of a child: %w", err)
		}
	}
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
