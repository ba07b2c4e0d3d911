package harness

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/flujo/flujo-harness/harness/child"
)

// useOf runs benchmarks once and returns how their process used its time. On a busy machine a
// thread that is ready to run may have to wait for a processor, which is not the waiting that
// counts. The kernel records for every thread how long it ran and how long it was ready to run.
// Both are read repeatedly while the process runs, because they vanish with the thread.
func useOf(ctx context.Context, o benchOrder) (u use, known bool) {
	ctx, cancel := context.WithTimeout(ctx, max(o.deadline, 10*time.Second))
	defer cancel()
	cmd := exec.CommandContext(ctx, o.side.Binary, "-test.run=^$", "-test.bench="+o.pattern, "-test.benchtime="+o.times, "-test.cpu="+strconv.Itoa(max(1, o.procs)), "-test.timeout=0")
	cmd.Dir, cmd.Env = o.side.Dir, append(os.Environ(), o.env...)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	child.Group(cmd)
	cmd.WaitDelay = leaveToEnd
	u, known = useOfProcess(cmd)
	u.printed, _ = parseBenchmarks(&stdout) // a process without operations prints nothing
	return u, known
}

// useOfProcess starts a command, which must be in a group of its own, and waits for it.
func useOfProcess(cmd *exec.Cmd) (u use, known bool) {
	began := time.Now()
	wait, err := child.Start(cmd)
	if err != nil {
		return u, false
	}
	ended := make(chan struct{})
	go func() { defer close(ended); err = wait() }()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-ended:
			running = false
		case <-tick.C:
			// If this process itself was without a processor meanwhile, the time of the reading
			// is unknown.
			before := time.Since(began)
			ran, ready := scheduled(cmd.Process.Pid)
			wall := time.Since(began)
			if n := ran + ready; n >= u.busy && wall-before <= wall/20+time.Millisecond { // a smaller n means that threads have ended
				u.busy, u.ready, u.wall = n, ready, wall
			}
		}
	}
	child.EndGroup(cmd.Process.Pid)
	if err != nil {
		return u, false
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return u, true
}

// scheduled returns how long the threads of a process have run, and how long they were ready to run.
func scheduled(pid int) (ran, ready time.Duration) {
	for _, t := range threadsOf(pid) {
		ran, ready = ran+t.ran, ready+t.ready
	}
	return ran, ready
}

// threadsOf returns the use of the threads of a process, by their files.
func threadsOf(pid int) map[string]threadUse {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return nil
	}
	all := map[string]threadUse{}
	for _, task := range tasks {
		var ran, ready int64
		if text, err := os.ReadFile(task); err == nil {
			if n, _ := fmt.Fscan(bytes.NewReader(text), &ran, &ready); n == 2 {
				all[task] = threadUse{time.Duration(ran), time.Duration(ready)}
			}
		}
	}
	return all
}
