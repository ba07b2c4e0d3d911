// Package pgserver starts PostgreSQL servers that belong to this process: for tests and
// examples of programs that keep their runs in PostgreSQL. It needs the programs that
// Debian's package postgresql installs and no running server.
//
// A server listens on a Unix socket in a folder of its own and, where asked, on a free
// port of 127.0.0.1. When the process ends, in whatever way, its servers end and their
// folders are removed.
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
var ErrMissing = errors.New("PostgreSQL's programs are missing: install Debian's package postgresql, or name their folder in FLUJO_POSTGRES_BIN")

// Required is the variable of the environment that makes [Need] fail a test, rather than
// skip it, where PostgreSQL is missing. CI sets it.
const Required = "FLUJO_POSTGRES_REQUIRED"

// Options of a server. The zero value listens on a Unix socket only.
type Options struct {
	TCP      bool              // listen on a free port of 127.0.0.1, too
	Settings map[string]string // of postgresql.conf, by name
	HBA      string            // lines of pg_hba.conf in place of "everybody is trusted"
	Files    map[string][]byte // further files of the data folder, as certificates
}

// Server is a running PostgreSQL.
type Server struct {
	dir  string // socket; the data lies in dir/data
	port int
	opts Options
	proc *process
}

// programs returns the folder of PostgreSQL's programs.
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

// Dir is the folder of the server's socket. The data lies in its folder data.
func (s *Server) Dir() string { return s.dir }

// Port is the number of the socket and of the TCP port.
func (s *Server) Port() int { return s.port }

// DSN is the address of a database of the server by way of the Unix socket, for the
// superuser postgres.
func (s *Server) DSN(database string) string { return s.DSNAs("postgres", database) }

// DSNAs is [Server.DSN] for another user.
func (s *Server) DSNAs(user, database string) string {
	q := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.User(user), Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

// Address is host and port of the TCP listener.
func (s *Server) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// TB is what [For] needs of a test.
type TB interface {
	Helper()
	Skip(args ...any)
	Fatal(args ...any)
	Cleanup(func())
}

// Missing returns why tests that need a server cannot run here, nil where they can.
func Missing() error {
	if !supported {
		return fmt.Errorf("%w (servers are started on Unix only)", ErrMissing)
	}
	_, err := programs()
	return err
}

// Need skips a test where PostgreSQL is missing or, with the variable [Required], fails it.
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

// For starts a server for a test and stops it at the end. See [Need].
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
