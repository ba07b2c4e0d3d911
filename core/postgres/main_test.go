package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/coretest"
	"github.com/flujo/flujo-harness/core/postgres/internal/probe"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// shared is the environment variable with the server of this test run, for child processes.
const shared = "FLUJO_TEST_POSTGRES"

// openAt opens the schema for a path, in the shared server. All tests use it except those that
// damage a server.
func openAt(ctx context.Context, path string) (core.Backend, error) {
	return Open(ctx, dsnOf(path), Power)
}

// dsnOf returns the address of the schema for a path.
func dsnOf(path string) string {
	h := fnv.New64a()
	h.Write([]byte(path))
	return inSchema(os.Getenv(shared), fmt.Sprintf("s%016x \\x", h.Sum64()))
}

// inSchema adds a schema to an address, with a name that must be quoted.
func inSchema(dsn, schema string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv(shared) == "" && pgserver.Missing() == nil {
			s, err := pgserver.Start(pgserver.Options{Settings: map[string]string{"max_connections": "300"}})
			if err == nil {
				err = os.Setenv(shared, s.DSN("postgres"))
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "start PostgreSQL:", err)
				return 1
			}
			defer func() {
				if err := s.Stop(); err != nil {
					fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
				}
			}()
		}
		return coretest.Main(m, openAt)
	}())
}

// eventually waits until is returns true. what describes the condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	const patience = 2 * time.Minute
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// mustOpen opens a new schema.
func mustOpen(t testing.TB, d Durability) *Backend {
	t.Helper()
	pgserver.Need(t)
	return mustOpenAt(t, dsnOf(t.TempDir()), d)
}

func mustOpenAt(t testing.TB, dsn string, d Durability) *Backend {
	t.Helper()
	b, err := open(t.Context(), dsn, d, probe.Probe{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestConformance(t *testing.T) {
	pgserver.Need(t)
	coretest.Conformance(t, func(t *testing.T) core.Backend { return mustOpen(t, Power) })
}

func TestModel(t *testing.T) {
	pgserver.Need(t)
	coretest.Model(t, openAt, coretest.Durable)
}

func TestRecoveryAfterKill(t *testing.T) {
	pgserver.Need(t)
	coretest.Recovery(t, openAt)
}

func TestFencing(t *testing.T) {
	pgserver.Need(t)
	coretest.Fencing(t, openAt)
}

func TestRivals(t *testing.T) {
	pgserver.Need(t)
	coretest.Rivals(t, openAt)
}
