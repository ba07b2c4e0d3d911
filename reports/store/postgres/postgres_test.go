package postgres_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core/postgres/pgserver"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/store"
	_ "github.com/flujo/flujo-harness/reports/store/postgres"
	"github.com/flujo/flujo-harness/reports/store/storetest"
)

// With many runs: go test ./reports/store/... -run TestManyJobs -campaign 2300 -v
var campaign = flag.Int("campaign", 0, "send 1,000 runs of so many specs by 50 jobs at once")

var server *pgserver.Server

func TestMain(m *testing.M) {
	code := m.Run()
	if server != nil && server.Stop() != nil {
		code = 1
	}
	os.Exit(code)
}

// address returns the address of a repository in a server that all tests share.
func address(t *testing.T, repository string) string {
	pgserver.Need(t)
	if server == nil {
		s, err := pgserver.Start(pgserver.Options{TCP: true})
		if err != nil {
			t.Fatal(err)
		}
		server = s
	}
	return server.DSN("postgres") + "&repository=" + repository
}

func at(address string) func(context.Context) (store.Store, error) {
	return func(ctx context.Context) (store.Store, error) { return store.Open(ctx, address, store.Options{}) }
}

func TestStore(t *testing.T) {
	if err := storetest.Test(t.Context(), at(address(t, "shop"))); err != nil {
		t.Error(err)
	}
}

func TestManyJobs(t *testing.T) {
	jobs, runs, specs := 20, 3, 3
	if *campaign > 0 {
		jobs, runs, specs = 50, 20, *campaign
	}
	c, err := storetest.Jobs(t.Context(), t.TempDir(), at(address(t, "jobs")), jobs, runs, specs)
	if err != nil || c.Lost != 0 {
		t.Fatalf("%v: %v", c, err)
	}
	t.Logf("%d jobs at once: %v", jobs, c)
}

// A repository does not contain runs of another one in the same table.
func TestRepositoriesAreSeparate(t *testing.T) {
	for i, repository := range []string{"a", "b", ""} {
		h, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "h.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if _, err := h.Append(t.Context(), storetest.Run(i, 2)); err != nil {
			t.Fatal(err)
		}
		s, err := at(address(t, repository))(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if done, err := store.Sync(t.Context(), h, s); err != nil || done.Taken != 0 || done.Sent != 1 {
			t.Errorf("repository %q: %+v, %v", repository, done, err)
		}
	}
}

// No error about a server or an address contains the password.
func TestErrorsContainNoPassword(t *testing.T) {
	address(t, "")
	for what, address := range map[string]string{
		"no server":       "postgres://me:hunter2@127.0.0.1:1/x",
		"no database":     "postgres://me:hunter2@" + server.Address() + "/nowhere?sslmode=disable",
		"a setting":       "postgres://me@" + server.Address() + "/x?password=hunter2&sslmode=disable",
		"a wrong setting": "postgres://me:hunter2@" + server.Address() + "/x?sslmode=hunt",
		"a wrong port":    "postgres://me:hunter2@localhost:x/x",
		"not escaped":     "postgres://me:%hunter2@localhost/x",
		"not escaped too": "postgres://me:hunter2%@localhost/x?pool_max_conns=x",
	} {
		_, err := store.Open(t.Context(), address, store.Options{})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", what, err)
		}
		t.Logf("%s: %v", what, err)
	}
}
