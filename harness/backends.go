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

// backends are those that this program can measure, by the scheme of their addresses. The one
// without an address is SQLite's, in files of the folder that is measured.
var backends = struct {
	sync.Mutex
	by map[string]Opener
}{by: map[string]Opener{"": func(string) (corebench.Backend, error) { return sqlitebench.Backend{}, nil }}}

// Register makes the backends at addresses that begin with scheme:// measurable. Call it in an
// init function, also of a test program whose workloads are measured: its sessions are
// processes of their own. Of a scheme the latest registration counts.
func Register(scheme string, open Opener) {
	backends.Lock()
	defer backends.Unlock()
	backends.by[scheme] = open
}

// ErrNoBackend is an address that no backend of this program answers to.
var ErrNoBackend = errors.New("no backend for it is linked into this program: register one with harness.Register")

// BackendAt is the backend that measurements at an address are of; "" is SQLite.
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

// DefaultDurability is what is measured of SQLite where nothing else is asked for.
const DefaultDurability = "process"

// Check returns what is wrong with the backend, or with the durability for it.
func (s Spec) Check() error {
	_, _, err := levelAt(s.Backend, s.Durability)
	return err
}

// Describe describes the machine, and what the backend of s runs on.
func (s Spec) Describe(ctx context.Context) (machine.Environment, error) {
	e := machine.Describe(ctx, s.Dir)
	b, err := BackendAt(s.Backend)
	if err == nil {
		e.Backend, err = b.About(ctx)
	}
	return e, err
}

// levelAt is a backend, and what its saves survive at a durability.
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
