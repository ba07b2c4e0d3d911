package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// runs and trace read a PostgreSQL database as they read a file, and print no password.
func TestRunsInPostgreSQL(t *testing.T) {
	s := pgserver.For(t, pgserver.Options{})
	dsn := s.DSN("postgres")
	tool := func(args ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		code = run(context.Background(), args, strings.NewReader(""), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	if code, _, errs := tool("runs", "--db", dsn); code != 3 || !strings.Contains(errs, "has no runs in the schema") {
		t.Errorf("an empty database: exit code %d, %s", code, errs)
	}
	b, err := postgres.Open(t.Context(), dsn, postgres.Server)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	step := core.Step("draft", core.Func[int, int](func(context.Context, core.Request[int]) (int, error) { return 1, nil }),
		func(i int) int { return i }, func(i *int, o int) { *i = o })
	p, err := core.New("orders", step)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), p, core.RunKey{Tenant: "acme", Run: "order-7"}, 0); err != nil {
		t.Fatal(err)
	}
	withPassword := strings.Replace(dsn, "postgres@", "postgres:s3cr3t@", 1)
	for want, args := range map[string][]string{
		"acme/order-7":          {"runs", "--db", withPassword},
		`"status": "completed"`: {"runs", "--json", "--db", withPassword},
		"draft":                 {"trace", "order-7", "--db", withPassword},
	} {
		code, out, errs := tool(args...)
		if code != 0 || !strings.Contains(out, want) || strings.Contains(out+errs, "s3cr3t") {
			t.Errorf("%s: exit code %d, want 0 and %q\n%s%s", args[0], code, want, out, errs)
		}
	}
	if code, _, errs := tool("trace", "nothing", "--db", withPassword); code != 2 || strings.Contains(errs, "s3cr3t") {
		t.Errorf("no such run: exit code %d, %s", code, errs)
	}
	gone := strings.Replace(withPassword, "5432", "1", 1)
	began := time.Now()
	if code, _, errs := tool("runs", "--db", gone); code != 3 || strings.Contains(errs, "s3cr3t") {
		t.Errorf("no server: exit code %d, %s", code, errs)
	}
	t.Logf("no server: noticed after %v", time.Since(began))
}
