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

// ErrWeakLocks is wrapped where a database is refused because this process locks files
// in a way that loses the locks again. Saves that were acknowledged could vanish then.
var ErrWeakLocks = errors.New("this process would lose its lock on the file whenever anything in it opens and closes the file, " +
	"and acknowledged saves could vanish: another SQLite database was opened before this package could choose the kind of locks: " +
	"open that one later, call OFDLocking(true) of modernc.org/sqlite before it, or start the process with MODERNC_SQLITE_OFD_LOCK=1")

// Linux has two kinds of locks on files. POSIX locks belong to the process, and the
// system drops them all when any descriptor of the file is closed anywhere in the
// process: after os.ReadFile of a database another process takes itself for the only
// user, empties and deletes the log, and later saves go to a file without a name. Open
// file description (OFD) locks belong to a descriptor and stay.
//
// The driver decides for the whole process at its first lock. The kind is chosen when the
// program starts, so that a database that main opens first does no harm.
func init() { _, _ = locks.Choose(true) } // an error comes again, and is reported, when a database is opened

// requireLocks refuses to open a database where better locks exist but the process is
// bound to others. Where there are no better ones, it is a matter of [Warnings].
func requireLocks(path string) error {
	if _, err := locks.Choose(true); err != nil && !errors.Is(err, driversqlite.ErrOFDLockingUnavailable) {
		return fmt.Errorf("open database %s: %w", path, ErrWeakLocks)
	}
	return nil
}

// LocksStay reports whether the locks that this process has once it has opened a database
// outlive other descriptors of the file.
func LocksStay() bool { return lockWarning(runtime.GOOS, driversqlite.OFDLockingEnabled()) == "" }

// lockWarning is what follows from the locks that the process has once it has opened a
// database. Windows ties locks to handles, as OFD locks are to descriptors.
func lockWarning(goos string, ofd bool) string {
	if ofd || goos == "windows" {
		return ""
	}
	return "this system has no locks that outlive another descriptor of the file: a process that uses the database must not open and close its file by other means " +
		"(to copy or hash it), or saves of that process can vanish; use VACUUM INTO for copies"
}

// Warnings returns the protections that a database at path cannot have on this system,
// each as a sentence that says what to do. It has the full answer once the process has
// opened a database there. None is nil.
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

// warned holds the warnings that were logged, so that a process repeats none.
var warned sync.Map

// LogWarnings writes each warning once to the default logger.
func LogWarnings(path string, warnings []string) {
	for _, text := range warnings {
		if _, before := warned.LoadOrStore(text, true); !before {
			slog.Warn(text, "database", path)
		}
	}
}
