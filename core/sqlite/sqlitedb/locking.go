package sqlitedb

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"

	driversqlite "modernc.org/sqlite"

	"github.com/flujo/flujo-harness/core/sqlite/internal/locks"
)

// ErrWeakLocks reports that a database was not opened because this process uses POSIX locks,
// which it would lose while the database is in use. Acknowledged saves could then vanish.
var ErrWeakLocks = errors.New("this process would lose its lock on the file whenever anything in it opens and closes the file, " +
	"and acknowledged saves could vanish: another SQLite database was opened before this package could select reliable locks: " +
	"open that database later, call OFDLocking(true) of modernc.org/sqlite first, or start the process with MODERNC_SQLITE_OFD_LOCK=1")

// Linux has two kinds of file locks (fcntl(2)). POSIX locks belong to the process, and the
// kernel releases all of them when any descriptor of the file is closed anywhere in the process
// (https://www.sqlite.org/howtocorrupt.html, section 2.2). After os.ReadFile of a database,
// another process therefore considers itself the only user and deletes the WAL, and later saves
// of this process go to an unlinked file. Open file description (OFD) locks belong to a
// descriptor and are not affected.
//
// The driver decides for the whole process at its first lock. Selecting the kind at program
// start also covers databases that main opens through the driver directly. Opening a database
// repeats the call and reports its error.
func init() { _, _ = locks.Choose(true) }

// requireLocks returns an error if the system has OFD locks but the process already uses POSIX
// locks. A system without OFD locks is reported by [Warnings].
func requireLocks(path string) error {
	if _, err := locks.Choose(true); err != nil && !errors.Is(err, driversqlite.ErrOFDLockingUnavailable) {
		return fmt.Errorf("open database %s: %w", path, ErrWeakLocks)
	}
	return nil
}

// LocksStay reports whether the file locks of this process survive the closing of other
// descriptors of the same file. The process must have opened a database.
func LocksStay() bool { return lockWarning(runtime.GOOS, driversqlite.OFDLockingEnabled()) == "" }

// lockWarning returns the warning for a process without OFD locks, or "". Locks on Windows
// belong to handles and behave like OFD locks.
func lockWarning(goos string, ofd bool) string {
	if ofd || goos == "windows" {
		return ""
	}
	return "this system has no file locks that survive the closing of another descriptor of the file: a process that uses the database must not open and close its file by other means " +
		"(to copy or hash it), or saves of that process can vanish; copy it with VACUUM INTO"
}

// Warnings returns the protections that a database at path lacks on this system, each as a
// sentence with a remedy, or nil. The list is complete once the process has opened a database
// there.
func Warnings(path string) []string {
	var all []string
	for _, text := range []string{
		lockWarning(runtime.GOOS, driversqlite.OFDLockingEnabled()),
		storageWarning(path, filesystem),
	} {
		if text != "" {
			all = append(all, text)
		}
	}
	return all
}

// warned holds the warnings that this process has logged.
var warned sync.Map

// LogWarnings writes each warning once to the default logger.
func LogWarnings(path string, warnings []string) {
	for _, text := range warnings {
		if _, before := warned.LoadOrStore(text, true); !before {
			slog.Warn(text, "database", path)
		}
	}
}
