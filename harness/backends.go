package harness

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitebench"
	"github.com/flujo/flujo-harness/harness/machine"
)

// Opener returns the backend at an address of its scheme.
type Opener func(address string) (corebench.Backend, error)

// backends has the backends that this program can measure, by the scheme of their addresses.
// The scheme "" is SQLite's, whose files are in the folder to be measured.
var backends = struct {
	sync.Mutex
	by map[string]Opener
}{by: map[string]Opener{"": func(string) (corebench.Backend, error) { return sqlitebench.Backend{}, nil }}}

// Register lets this program measure the backends at addresses that begin with scheme://. Call
// it in an init function. A test program whose workloads are measured must call it too, because
// its sessions are processes of their own. A later registration of a scheme replaces an earlier
// one.
func Register(scheme string, open Opener) {
	backends.Lock()
	defer backends.Unlock()
	backends.by[scheme] = open
}

// ErrNoBackend is the error for an address whose scheme no backend of this program has.
var ErrNoBackend = errors.New("no backend for it is linked into this program: register one with harness.Register")

// BackendAt returns the backend at an address; "" is SQLite.
func BackendAt(address string) (corebench.Backend, error) {
	scheme, _, ok := strings.Cut(address, "://")
	if !ok && address != "" {
		return nil, errors.New("the address of a backend must be like postgres://user@host/database")
	}
	backends.Lock()
	open := backends.by[scheme]
	backends.Unlock()
	if open == nil {
		return nil, fmt.Errorf("%s://…: %w", scheme, ErrNoBackend)
	}
	return open(address)
}

// DefaultDurability is the durability that is measured of SQLite by default.
const DefaultDurability = "process"

// Check returns an error if there is no backend at the address, or if it does not have the
// durability.
func (s Spec) Check() error {
	_, _, err := levelAt(s.Backend, s.Durability)
	return err
}

// Describe describes the machine and the system that the backend runs on.
func (s Spec) Describe(ctx context.Context) (machine.Environment, error) {
	e := machine.Describe(ctx, s.Dir)
	b, err := BackendAt(s.Backend)
	if err == nil {
		e.Backend, err = b.About(ctx)
	}
	return e, err
}

// levelAt returns the backend at an address, and its level with the given durability.
func levelAt(address, durability string) (corebench.Backend, corebench.Level, error) {
	b, err := BackendAt(address)
	if err != nil {
		return nil, corebench.Level{}, err
	}
	var words []string
	for _, l := range b.Levels() {
		if l.Durability == corebench.Unsynced {
			continue
		}
		if l.Durability == durability {
			return b, l, nil
		}
		words = append(words, fmt.Sprintf("%q", l.Durability))
	}
	return nil, corebench.Level{}, fmt.Errorf("durability %q: backend %s has %s", durability, b.Name(), strings.Join(words, " and "))
}
