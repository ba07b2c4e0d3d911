package sqlitedb

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	driversqlite "modernc.org/sqlite"

	"github.com/flujo/flujo-harness/core/sqlite/internal/locks"
)

func TestLocksByAnswerOfTheDriver(t *testing.T) {
	defer func() { locks.Choose = driversqlite.OFDLocking }()
	for _, tc := range []struct {
		answer  error
		refused bool
	}{
		{nil, false},
		{driversqlite.ErrOFDLockingUnavailable, false}, // no better locks exist: a warning
		{driversqlite.ErrOFDLockingTooLate, true},
		{errors.New("of a later driver"), true},
	} {
		locks.Choose = func(bool) (bool, error) { return false, tc.answer }
		if err := requireLocks("r.db"); errors.Is(err, ErrWeakLocks) != tc.refused {
			t.Errorf("%v: error %v", tc.answer, err)
		}
	}
}

func TestLockWarningBySystem(t *testing.T) {
	for _, tc := range []struct {
		goos      string
		ofd, warn bool
	}{
		{"linux", true, false},
		{"linux", false, true}, // an old kernel, or a file system without such locks
		{"darwin", false, true},
		{"windows", false, false},
	} {
		if text := lockWarning(tc.goos, tc.ofd); (text != "") != tc.warn {
			t.Errorf("%s, OFD %v: warning %q", tc.goos, tc.ofd, text)
		}
	}
}

func TestWarningsAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	for range 3 {
		LogWarnings("r.db", []string{"one of this test", "two of this test"})
	}
	if got := log.String(); strings.Count(got, "of this test") != 2 || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "database=r.db") {
		t.Errorf("logged:\n%s", got)
	}
}

// On macOS fsync leaves data in the disk's cache; F_FULLFSYNC flushes it.
func TestPowerSyncsFullyOnDarwin(t *testing.T) {
	full := func(d Durability, goos string) bool {
		settings, err := settingsFor(d, goos)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range settings {
			if strings.HasSuffix(s.Name, "fullfsync") && s.Want == "1" {
				n++
			}
		}
		return n == 2
	}
	if !full(Power, "darwin") || full(Process, "darwin") || full(Power, "linux") {
		t.Error("fullfsync must be on for power on darwin, and only there")
	}
}
