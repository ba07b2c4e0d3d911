//go:build unix

package pgserver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server that is killed comes back with its data, and both ends are seen.
func TestServerIsKilledAndStartsAgain(t *testing.T) {
	s := For(t, Options{})
	pid := s.proc.cmd.Process.Pid
	if len(children(pid)) == 0 {
		if _, err := os.Stat("/proc/self/stat"); err == nil {
			t.Error("the postmaster has no children: nobody would kill them")
		}
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if n := children(pid); len(n) > 0 {
		t.Errorf("%d children are left", len(n))
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.Log(), "not properly shut down") {
		t.Errorf("the server does not recover, its log is\n%s", s.Log())
	}
}

// A test without PostgreSQL is skipped, and failed where PostgreSQL is required.
func TestMissingProgramsSkipOrFail(t *testing.T) {
	t.Setenv("FLUJO_POSTGRES_BIN", filepath.Join(t.TempDir(), "none"))
	if err := Missing(); !errors.Is(err, ErrMissing) {
		t.Fatalf("error %v, want %v", err, ErrMissing)
	}
	for _, required := range []string{"", "1"} {
		t.Setenv(Required, required)
		if got, want := missingOutcome(), map[string]string{"": "skip", "1": "fatal"}[required]; got != want {
			t.Errorf("%s=%q: %s, want %s", Required, required, got, want)
		}
	}
}

// missingOutcome is what a test does that needs a server.
func missingOutcome() (said string) {
	defer func() { said, _ = recover().(string) }()
	Need(speaker{})
	return ""
}

// speaker ends a test by a panic that says how.
type speaker struct{}

func (speaker) Helper()        {}
func (speaker) Skip(...any)    { panic("skip") }
func (speaker) Fatal(...any)   { panic("fatal") }
func (speaker) Cleanup(func()) {}
