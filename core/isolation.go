package core

import (
	"bytes"
	"fmt"
	"slices"
)

// IsolationError reports a step that changed a scope that was not its own. The scopes
// share memory, usually because a Clone method does not copy enough.
type IsolationError struct {
	Step  string // path of the step that made the change
	Scope string // path of the fork or step whose scope was changed; empty if the step's agent or read function changed its input
}

func (e *IsolationError) outline() string { return e.Error() }

func (e *IsolationError) Error() string {
	if e.Scope == "" {
		return fmt.Sprintf("step %q changed a scope that it only reads: its agent, or its read function, changes what its input points to: "+
			"let it work on a copy", e.Step)
	}
	return fmt.Sprintf("step %q changed the scope of %q, which it must not reach: the two share memory: "+
		"look at the Clone methods of the scope, and at agents that keep or change their input", e.Step, e.Scope)
}

// guard detects changes of one scope.
type guard struct {
	path   string
	encode func() ([]byte, error)
	before []byte
}

// guard adds a guard, until the returned function is called.
func (t *thread) guard(path string, encode func() ([]byte, error)) (end func()) {
	before, err := encode()
	if err != nil {
		return func() {} // it cannot be stored: the save returns that error
	}
	guards := t.guards
	t.guards = append(slices.Clip(guards), guard{path, encode, before})
	return func() { t.guards = guards }
}

// guarded checks the guarded scopes after the given step.
func (t *thread) guarded(path string) (stop error) {
	for _, g := range t.guards {
		if now, err := g.encode(); err != nil || !bytes.Equal(now, g.before) {
			return &IsolationError{Step: path, Scope: g.path}
		}
	}
	return nil
}
