package coretest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/coretest"
	"github.com/flujo/flujo-harness/core/sqlite"
)

func open(ctx context.Context, path string) (core.Backend, error) {
	return sqlite.Open(ctx, path, sqlite.Process)
}

// The tests of a backend whose data outlives the process. TestMain lets the test program be started
// again as the child process that is killed.
func Example() {
	_ = func(m *testing.M) { // func TestMain(m *testing.M)
		os.Exit(coretest.Main(m, open))
	}
	_ = func(t *testing.T) { // func TestBackend(t *testing.T)
		coretest.Conformance(t, func(t *testing.T) core.Backend {
			b, err := open(t.Context(), filepath.Join(t.TempDir(), "runs.db"))
			if err != nil {
				t.Fatal(err)
			}
			return b
		})
		coretest.Recovery(t, open)
		coretest.Fencing(t, open)
		coretest.Rivals(t, open)
	}
}
