package postgres

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// bouncer finds PgBouncer, which Debian installs in a directory that only root has in its path.
func bouncer(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv(pgserver.Required) != "" {
		t.Fatal("PgBouncer is missing: install Debian's package pgbouncer")
	}
	t.Skip("PgBouncer is missing: install Debian's package pgbouncer")
	return ""
}

// pooled starts PgBouncer in front of the server and returns its address.
func pooled(t testing.TB, s *pgserver.Server, mode string) string {
	t.Helper()
	program := bouncer(t)
	port := 6432 // a Unix socket in the server's directory
	users, err := s.WriteFile("users-"+mode, `"postgres" ""`+"\n")
	if err != nil {
		t.Fatal(err)
	}
	config, err := s.WriteFile("pgbouncer-"+mode+".ini", fmt.Sprintf(`[databases]
postgres = host=%[1]s port=5432 dbname=postgres user=postgres
[pgbouncer]
pool_mode = %[2]s
listen_addr =
listen_port = %[3]d
unix_socket_dir = %[1]s
auth_type = trust
auth_file = %[4]s
default_pool_size = 20
logfile = %[1]s/pgbouncer-%[2]s.log
`, s.Dir(), mode, port, users))
	if err != nil {
		t.Fatal(err)
	}
	s.Run(t, program, config)
	socket := fmt.Sprintf("%s/.s.PGSQL.%d", s.Dir(), port)
	eventually(t, "PgBouncer listens", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return fmt.Sprintf("postgres://postgres@/postgres?host=%s&port=%d&sslmode=disable", s.Dir(), port)
}

// A pooler that shares the connection of a session is refused. One that does not can be used.
func TestPoolers(t *testing.T) {
	pgserver.Need(t)
	t.Run("of transactions", func(t *testing.T) {
		s := pgserver.For(t, pgserver.Options{})
		dsn := pooled(t, s, "transaction")
		for range 5 {
			if _, err := Open(t.Context(), dsn, Server); !errors.Is(err, errPooler) {
				t.Fatalf("error %v, want %v", err, errPooler)
			}
		}
		if _, err := OpenReader(t.Context(), dsn); !errors.Is(err, errPooler) {
			t.Errorf("to read: error %v, want %v", err, errPooler)
		}
	})
	t.Run("of sessions", func(t *testing.T) {
		s := pgserver.For(t, pgserver.Options{})
		dsn := pooled(t, s, "session")
		b := mustOpenAt(t, dsn, Server)
		for _, d := range deeds {
			lease := d.prepare(t, b, d.name)
			if err := d.do(b, d.name, lease); err != nil {
				t.Errorf("%s: %v", d.name, err)
			}
			if snap, err := b.Load(t.Context(), keyed(d.name)); err != nil || d.done(snap) != nil {
				t.Errorf("%s: %v, %v", d.name, err, d.done(snap))
			}
		}
	})
}
