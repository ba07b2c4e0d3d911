package coretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Children starts processes of the running program for jobs during which they are killed. A job is
// passed to its process as JSON.
type Children[J any] struct {
	Variable string // environment variable that holds the job; set in no other process
}

// Exit codes of a child that was not killed.
const (
	exitDone  = 0
	exitError = 3
)

// Serve runs do and exits if this process was started for a job that mine accepts. Otherwise it
// returns. Call it before any test runs.
func (c Children[J]) Serve(mine func(J) bool, do func(J) error) {
	text, ok := os.LookupEnv(c.Variable)
	if !ok {
		return
	}
	var j J
	err := json.Unmarshal([]byte(text), &j)
	if err == nil && !mine(j) {
		return
	}
	if err == nil {
		err = do(j)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(exitError)
	}
	os.Exit(exitDone)
}

// Command returns the command that runs this program as a child with the job.
func (c Children[J]) Command(j J) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe, "-test.run=^$") // if no Serve accepts the job, the child must not run tests
	cmd.Env = append(os.Environ(), c.Variable+"="+string(text))
	if _, ok := os.LookupEnv("GORACE"); !ok {
		cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0") // otherwise the child waits for a second before it exits
	}
	return cmd, nil
}

// Spawn runs the job in a child and reports whether the child was killed.
func (c Children[J]) Spawn(j J) (killed bool, err error) {
	cmd, err := c.Command(j)
	if err != nil {
		return false, err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	switch code := cmd.ProcessState.ExitCode(); {
	case err == nil && out.Len() > 0:
		return false, fmt.Errorf("the child did not run its job: is Serve called before the first test, by TestMain or a package variable? Output: %s", &out)
	case err == nil:
		return false, nil
	case !errors.As(err, new(*exec.ExitError)):
		return false, err
	case code == exitError || out.Len() > 0:
		return false, fmt.Errorf("child: %w\n%s", err, &out)
	}
	return true, nil
}
