package core

import (
	"bytes"
	"fmt"
	"slices"
)

// IsolationError is a step that changed a scope which was not its own: it shares
// memory with it, most often through a Clone method that copies too little. Where
// Scope is empty, its agent (or its read function) changed its input.
type IsolationError struct {
	Step  string // path of the step that made the change
	Scope string // path of the fork, or of the step, whose scope was changed; empty for the input of the step
}

func (e *IsolationError) Error() string {
	if e.Scope == "" {
		return fmt.Sprintf("step %q changed a scope that it only reads: its agent, or its read function, changes what its input points to: "+
			"let it work on a copy", e.Step)
	}
	return fmt.Sprintf("step %q changed the scope of %q, which it must not reach: the two share memory: "+
		"look at the Clone methods of the scope, and at agents that keep or change their input", e.Step, e.Scope)
}

// guard notices a change of one scope.
type guard struct {
	path   string
	encode func() ([]byte, error)
	before []byte
}

// guard watches a scope until the returned function is called.
func (t *thread) guard(path string, encode func() ([]byte, error)) (end func()) {
	before, err := encode()
	if err != nil {
		return func() {} // it cannot be stored: the save will say so
	}
	guards := t.guards
	t.guards = append(slices.Clip(guards), guard{path, encode, before})
	return func() { t.guards = guards }
}

// guarded checks the scopes around, behind the given step.
func (t *thread) guarded(path string) (stop error) {
	for _, g := range t.guards {
		if now, err := g.encode(); err != nil || !bytes.Equal(now, g.before) {
			return &IsolationError{Step: path, Scope: g.path}
		}
	}
	return nil
}
