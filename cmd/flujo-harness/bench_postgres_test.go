package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core/postgres/pgserver"
	"github.com/flujo/flujo-harness/harness"
)

// bench measures a PostgreSQL backend in child processes, names what saves survive, and does not
// print the password.
func TestBenchOfPostgreSQL(t *testing.T) {
	s := pgserver.For(t, pgserver.Options{})
	dsn := s.DSN("postgres")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("go.mod", []byte("module example.com/m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tool := func(args ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		code = run(context.Background(), args, strings.NewReader(""), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--backend", strings.Replace(dsn, "postgres@", "postgres:s3cr3t@", 1)}, "has a password"},
		{[]string{"--backend", dsn, "--durability", "process"}, `backend postgres has "postgres-server" and "postgres-power"`},
		{[]string{"--backend", "runs.db"}, "must be like postgres://"},
		{[]string{"--durability", "server"}, `backend sqlite has "process" and "power"`},
	} {
		if code, out, errs := tool(append([]string{"bench"}, tc.args...)...); code != 2 || !strings.Contains(errs, tc.want) || strings.Contains(out+errs, "s3cr3t") {
			t.Errorf("%v: exit code %d, want 2 and %q\n%s", tc.args, code, tc.want, errs)
		}
	}
	file := filepath.Join(t.TempDir(), "results.json")
	code, out, errs := tool("bench", "--backend", dsn, "--durability", "power", "--workload", "single", "--sessions", "2", "--json", file)
	if code != 0 || !strings.Contains(out, `at "postgres-power"`) {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got harness.Results
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	c := got.Comparisons[0]
	if !c.Valid() || c.Durability != "postgres-power" || !strings.HasPrefix(c.Environment.Backend, "PostgreSQL ") || c.Counters[harness.ArmBackend].Commits != 3 {
		t.Errorf("measured %q of %q, problem %q, counted %+v", c.Durability, c.Environment.Backend, c.Problem, c.Counters)
	}
}

// run measures the backend at an address even if no other flag asks for a measurement. If the
// server is unreachable, run and cost report it.
func TestServerThatIsNotThere(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"go.mod": "module example.com/m\n", "m_test.go": "package m\n\nimport \"testing\"\n\nfunc TestM(t *testing.T) {}\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = "postgres://postgres@127.0.0.1:1/runs"
	for _, tc := range []struct {
		code int
		args []string
		want []string
	}{
		{2, []string{"run", "--no-measure", "--backend", nobody}, []string{"--durability and --backend, which ask for a measurement"}},
		{3, []string{"run", "--backend", nobody}, []string{"1 spec passed", "measure default at postgres-server: ", "connect to the server of the backend: ", "connection refused"}},
		{3, []string{"cost", "--backend", nobody}, []string{"connect to the server of the backend: ", "connection refused"}},
	} {
		var out bytes.Buffer
		code := run(t.Context(), tc.args, strings.NewReader(""), &out, &out)
		for _, want := range tc.want {
			if code != tc.code || !strings.Contains(out.String(), want) {
				t.Errorf("%v: exit code %d, want %d and %q\n%s", tc.args, code, tc.code, want, &out)
			}
		}
	}
}
