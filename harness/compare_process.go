package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/workdir"
)

// childVariable is the environment variable with the order of a process that was started for a
// session.
const childVariable = "FLUJO_HARNESS_COMPARE"

// compareOrder describes one session of a comparison.
type compareOrder struct {
	Name   string         `json:"name"`
	Number int            `json:"number"`
	Seed   uint64         `json:"seed"`
	Batch  map[string]int `json:"batch"`
	Out    string         `json:"out"` // path of the file for the result

	Count *subjectCount `json:"count,omitempty"` // if set, only operations of one subject are run
}

// compareSession is the result of a session.
type compareSession struct {
	Slots   []map[string][]float64 `json:"slots"`
	Calls   int                    `json:"calls"`
	Planned int                    `json:"planned"`
	Problem string                 `json:"problem,omitempty"`
}

// TestProcess returns the [ComparePlan.Exec] for a Go test: a command that runs the test with the
// given name, and no other, in the same test binary.
func TestProcess(test string) []string {
	exe, err := os.Executable()
	if err != nil {
		return nil
	}
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + strings.NewReplacer(`\`, `\\`, ".", `\.`, "(", `\(`, ")", `\)`, "[", `\[`, "]", `\]`, "+", `\+`, "*", `\*`, "?", `\?`, "$", `\$`, "|", `\|`, "^", `\^`, "{", `\{`, "}", `\}`).Replace(p) + "$"
	}
	return []string{exe, "-test.run=" + strings.Join(parts, "/"), "-test.count=1"}
}

// session runs one session, in a process of its own if there is a command for it.
func (p ComparePlan) session(ctx context.Context, order compareOrder, subjects []Subject) (res compareSession, err error) {
	if len(p.Exec) == 0 {
		return p.run(ctx, order, subjects)
	}
	err = p.inProcess(ctx, order, func(c compareProcess) (err error) {
		res, err = c.result(child.CombinedOutput(c.cmd))
		return err
	})
	return res, err
}

// compareProcess is a process for an order that has not begun.
type compareProcess struct {
	cmd    *exec.Cmd
	dir    string // of its own, removed when it has ended
	result func(said []byte, failed error) (compareSession, error)
}

// inProcess prepares a process for an order, which do runs. The result is read after it has ended.
func (p ComparePlan) inProcess(ctx context.Context, order compareOrder, do func(compareProcess) error) (err error) {
	dir, remove, err := workdir.Temporary(os.TempDir(), "flujo-harness-session-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	order.Out = filepath.Join(dir, "result.json")
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, p.Exec[0], p.Exec[1:]...)
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	if err := child.Tie(cmd, nil); err != nil {
		return err
	}
	return do(compareProcess{cmd, dir, func(said []byte, failed error) (res compareSession, err error) {
		data, err := os.ReadFile(order.Out)
		if err != nil {
			return res, fmt.Errorf("the process %q came to no comparison of this name (%v): it said: %s", strings.Join(p.Exec, " "), failed, tail(said))
		}
		return res, json.Unmarshal(data, &res)
	}})
}

// tail returns the end of the output of a process.
func tail(text []byte) string {
	const most = 500
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return strings.TrimSpace(string(text))
}

// serve runs a session in the process that was started for it, and exits.
func (p ComparePlan) serve(ctx context.Context, text string, subjects []Subject) error {
	var order compareOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return fmt.Errorf("read the order of a session from %s: %w", childVariable, err)
	}
	if order.Name != p.Name {
		return fmt.Errorf("compare %q: %w: %q", p.Name, ErrOtherComparison, order.Name)
	}
	_ = os.Unsetenv(childVariable) // processes that the subjects start must not be sessions
	child.Watch(os.Stdin)
	var res compareSession
	var err error
	if order.Count != nil {
		err = order.Count.run(ctx, subjects)
	} else {
		res, err = p.run(ctx, order, subjects)
	}
	if err != nil {
		res.Problem = err.Error()
	}
	data, err := json.Marshal(res)
	if err == nil {
		err = os.WriteFile(order.Out, data, 0o600)
	}
	if err != nil {
		return err
	}
	os.Exit(0)
	return nil
}
