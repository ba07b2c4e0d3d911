// Package pgserver starts PostgreSQL servers for the current process: for tests and examples of
// programs that keep their runs in PostgreSQL. It needs the programs of Debian's package
// postgresql, but no running server.
//
// A server listens on a Unix socket in a directory of its own and, if requested, on a free port of
// 127.0.0.1. When the process ends, for any reason, its servers are stopped and their directories
// are removed.
package pgserver

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// ErrMissing means that PostgreSQL's programs were not found.
var ErrMissing = errors.New("PostgreSQL's programs are missing: install Debian's package postgresql, or set FLUJO_POSTGRES_BIN to their directory")

// Required is the environment variable that makes [Need] fail a test instead of skipping it if
// PostgreSQL is missing. CI sets it.
const Required = "FLUJO_POSTGRES_REQUIRED"

// Options configures a server. With the zero value it listens only on a Unix socket.
type Options struct {
	TCP      bool              // also listen on a free port of 127.0.0.1
	Settings map[string]string // settings of postgresql.conf, by name
	HBA      string            // lines of pg_hba.conf; by default all users are trusted
	Files    map[string][]byte // further files of the data directory, such as certificates
}

// Server is a running PostgreSQL server.
type Server struct {
	dir  string // contains the socket; the data is in dir/data
	port int
	opts Options
	proc *process
}

// programs returns the directory of PostgreSQL's programs.
func programs() (string, error) {
	if dir := os.Getenv("FLUJO_POSTGRES_BIN"); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			return "", fmt.Errorf("%w (%w)", ErrMissing, err)
		}
		return dir, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		version := func(path string) int {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 sorts first
			return n
		}
		newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(newest), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", ErrMissing
}

// Dir returns the directory of the server's socket. The data is in its subdirectory data.
func (s *Server) Dir() string { return s.dir }

// Port returns the number of the socket and of the TCP port.
func (s *Server) Port() int { return s.port }

// DSN returns the address of a database of the server over the Unix socket, for the superuser
// postgres.
func (s *Server) DSN(database string) string { return s.DSNAs("postgres", database) }

// DSNAs is like [Server.DSN] for another user.
func (s *Server) DSNAs(user, database string) string {
	q := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.User(user), Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

// Address returns host and port of the TCP listener.
func (s *Server) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// TB is the part of testing.TB that [For] needs.
type TB interface {
	Helper()
	Skip(args ...any)
	Fatal(args ...any)
	Cleanup(func())
}

// Missing returns the reason why tests that need a server cannot run here, or nil if they can.
func Missing() error {
	if !supported {
		return fmt.Errorf("%w (servers can only be started on Unix)", ErrMissing)
	}
	_, err := programs()
	return err
}

// Need skips a test if PostgreSQL is missing, or fails it if the variable [Required] is set.
func Need(t TB) {
	t.Helper()
	switch err := Missing(); {
	case err == nil:
	case os.Getenv(Required) == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// For starts a server for a test and stops it when the test ends. See [Need].
func For(t TB, opts Options) *Server {
	t.Helper()
	Need(t)
	s, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	})
	return s
}
