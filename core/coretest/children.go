package coretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Children are processes of this very program that are started for jobs, to be killed
// in the middle of them. A job is handed over as JSON.
type Children[J any] struct {
	Variable string // of the environment; set in no other process
}

// How a child exits that was not killed.
const (
	exitDone  = 0
	exitError = 3
)

// Serve does the job of this process, and ends it, where it was started for one that
// is mine. Call it before any test runs.
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

// Command is this program as a child with the job.
func (c Children[J]) Command(j J) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe, "-test.run=^$") // where nobody serves the job no test must run
	cmd.Env = append(os.Environ(), c.Variable+"="+string(text))
	if _, ok := os.LookupEnv("GORACE"); !ok {
		cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0") // or it waits for a second at its end
	}
	return cmd, nil
}

// Spawn runs the job in a child and says whether it was killed.
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
		return false, fmt.Errorf("the child did not do its job: is it served before the first test, by a TestMain or a variable of the package? It said: %s", &out)
	case err == nil:
		return false, nil
	case !errors.As(err, new(*exec.ExitError)):
		return false, err
	case code == exitError || out.Len() > 0:
		return false, fmt.Errorf("child: %w\n%s", err, &out)
	}
	return true, nil
}
