package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// scarcity is a resource limit that a child exceeds.
type scarcity struct {
	name     string
	resource int
	set      func() (uint64, error) // returns the limit, given an open database
	use      func(b *Backend, n int) error
	codes    []int  // expected codes of the error
	says     string // expected part of the error
}

var scarcities = []scarcity{
	{
		name: "size of files", resource: syscall.RLIMIT_FSIZE,
		set:   func() (uint64, error) { return 300_000, nil },
		use:   largeRun,
		codes: []int{lib.SQLITE_IOERR_WRITE, lib.SQLITE_FULL}, says: "limits on file sizes",
	},
	{
		name: "open files", resource: syscall.RLIMIT_NOFILE,
		set: func() (uint64, error) { // no further files
			f, err := os.Open(os.DevNull)
			if err != nil {
				return 0, err
			}
			return uint64(f.Fd()), f.Close()
		},
		// A load needs a new descriptor, a save does not.
		use: func(b *Backend, n int) error {
			if err := largeRun(b, n); err != nil {
				return err
			}
			_, err := b.Load(context.Background(), core.RunKey{Run: fmt.Sprint(n)})
			return err
		},
		codes: []int{lib.SQLITE_CANTOPEN}, says: "the limit on open files",
	},
}

// largeRun starts a run with a large scope.
func largeRun(b *Backend, n int) error {
	rec := started(fmt.Sprint(n))
	rec.State = fmt.Appendf(nil, "%20000d", n)
	_, err := b.Start(context.Background(), rec)
	return err
}

// The system does not allow files to grow, or to be opened. The caller gets an error that says so,
// no save is lost, and after the limit is lifted the same backend works again.
func TestTheSystemHasNoMore(t *testing.T) {
	const more = 30 // number of saves after the limit is lifted
	if path := os.Getenv(childPath); path != "" {
		for _, s := range scarcities {
			if s.name == os.Getenv(childMode) {
				fmt.Println(s.endure(path, more))
			}
		}
		pause()
		return
	}
	for _, s := range scarcities {
		t.Run(s.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "r.db")
			c := startChild(t, "TestTheSystemHasNoMore", path, s.name)
			var saved, refused int
			said := c.says()
			if _, err := fmt.Sscanf(said, "saved %d refused %d", &saved, &refused); err != nil || refused == 0 {
				t.Fatalf("the child printed %q", said)
			}
			c.kill()
			if n := found(t, path); n != saved {
				t.Errorf("%d of %d saves were found after kill -9", n, saved)
			}
			t.Logf("%d saves refused, %d made before and after, all found", refused, saved)
		})
	}
}

// endure saves until five saves are refused, and continues after the limit is lifted.
func (s scarcity) endure(path string, more int) string {
	signal.Ignore(syscall.SIGXFSZ)
	b, err := Open(context.Background(), path, sqlitedb.Process)
	if err != nil {
		return fmt.Sprint("open: ", err)
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(s.resource, &before); err != nil {
		return err.Error()
	}
	limit, err := s.set()
	if err != nil {
		return err.Error()
	}
	if err := syscall.Setrlimit(s.resource, &syscall.Rlimit{Cur: limit, Max: before.Max}); err != nil {
		return err.Error()
	}
	saved, refused := 0, 0
	for refused < 5 {
		err := s.use(b, saved)
		switch {
		case err == nil:
			saved++
		case !strings.Contains(err.Error(), s.says) || !strings.Contains(err.Error(), path) || !s.of(err):
			return fmt.Sprint("unclear: ", err)
		default:
			refused++
			// If the save was made, it was the load that failed.
			if saved < int(b.Counts().Saves) {
				saved++
			}
		}
		if saved > 10_000 {
			return "the limit does not bind"
		}
	}
	if err := syscall.Setrlimit(s.resource, &before); err != nil {
		return err.Error()
	}
	for range more {
		if err := s.use(b, saved); err != nil {
			return fmt.Sprint("the limit is lifted, and: ", err)
		}
		saved++
	}
	return fmt.Sprintf("saved %d refused %d", saved, refused)
}

func (s scarcity) of(err error) bool {
	for _, c := range s.codes {
		if sqlitedb.Code(err) == c || sqlitedb.Code(err)&0xff == c {
			return true
		}
	}
	return false
}

// Neither the file nor its directory can be written to. If the test runs as root, which can write
// in any case, a VFS simulates this: it opens files only for reading.
func TestReadOnlyDatabase(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.db")
	b := mustOpen(t, path, sqlitedb.Process)
	if err := errors.Join(saveRuns(b, 0, 3), b.Close()); err != nil {
		t.Fatal(err)
	}
	refuses := func(err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "writable") {
			t.Errorf("error %v, want one that names the file and says what to do", err)
		}
	}
	t.Run("by the file system", func(t *testing.T) {
		if err := registerShim(); err != nil {
			t.Fatal(err)
		}
		readOnlyFor.Store(path, true)
		defer readOnlyFor.Delete(path)
		b, err := openTapped(t.Context(), path, sqlitedb.Power, func(fileOp) int32 { return lib.SQLITE_OK })
		defer taps.Delete(path)
		if err == nil {
			_, err = b.Start(t.Context(), started("late"))
			if n := b.Counts().Saves; n != 0 {
				t.Errorf("%d saves counted", n)
			}
			_ = b.Close()
		}
		refuses(err)
	})
	t.Run("by its mode", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root may write whatever the mode is")
		}
		if err := errors.Join(os.Chmod(path, 0o444), os.Chmod(dir, 0o555)); err != nil {
			t.Fatal(err)
		}
		b, err := Open(t.Context(), path, sqlitedb.Process)
		if err == nil {
			_, err = b.Start(t.Context(), started("late"))
			_ = b.Close()
		}
		refuses(err)
		if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o644)); err != nil {
			t.Fatal(err)
		}
	})
	// The cause is removed.
	if n := found(t, path); n != 3 {
		t.Errorf("%d saves were found, want 3", n)
	}
	if err := saveRuns(mustOpen(t, path, sqlitedb.Process), 3, 5); err != nil {
		t.Error(err)
	}
}
