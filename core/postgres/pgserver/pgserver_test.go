//go:build unix

package pgserver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A killed server can be started again with its data, and the end of the process is noticed.
func TestServerIsKilledAndStartsAgain(t *testing.T) {
	s := For(t, Options{})
	pid := s.proc.cmd.Process.Pid
	if len(children(pid)) == 0 {
		if _, err := os.Stat("/proc/self/stat"); err == nil {
			t.Error("the postmaster has no children, so Kill would miss them")
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
		t.Errorf("the server did not recover, its log is\n%s", s.Log())
	}
}

// Without PostgreSQL a test is skipped, or fails if PostgreSQL is required.
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

// missingOutcome returns what happens to a test that needs a server.
func missingOutcome() (said string) {
	defer func() { said, _ = recover().(string) }()
	Need(speaker{})
	return ""
}

// speaker ends a test with a panic whose value is the outcome.
type speaker struct{}

func (speaker) Helper()        {}
func (speaker) Skip(...any)    { panic("skip") }
func (speaker) Fatal(...any)   { panic("fatal") }
func (speaker) Cleanup(func()) {}
