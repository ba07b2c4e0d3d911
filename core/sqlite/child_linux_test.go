package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	driversqlite "modernc.org/sqlite"

	"github.com/flujo/flujo-harness/core/sqlite/internal/locks"
	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// These tests run themselves again in a child process, which has these variables set.
const (
	childPath = "FLUJO_SQLITE_CHILD_PATH"
	childMode = "FLUJO_SQLITE_CHILD_MODE"
)

// child is a test that runs in another process.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(t *testing.T, name, path, mode string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(exe, "-test.run=^"+name+"$", "-test.count=1")}
	c.cmd.Env = append(os.Environ(), childPath+"="+path, childMode+"="+mode)
	if _, ok := os.LookupEnv("GORACE"); !ok {
		c.cmd.Env = append(c.cmd.Env, "GORACE=atexit_sleep_ms=0") // otherwise the child waits for a second before it exits
	}
	c.cmd.Stderr = os.Stderr
	out, errOut := c.cmd.StdoutPipe()
	in, errIn := c.cmd.StdinPipe()
	if err := errors.Join(errOut, errIn, c.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	c.in, c.out = in, bufio.NewReader(out)
	t.Cleanup(c.kill)
	return c
}

// says reads a line that the child has printed.
func (c *child) says() string {
	line, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("the child printed %q and ended: %v", line, err)
	}
	return line[:len(line)-1]
}

func (c *child) goOn() {
	if _, err := fmt.Fprintln(c.in); err != nil {
		c.t.Fatal(err)
	}
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // the expected error is "signal: killed"
}

// pause makes the child wait until the parent calls goOn.
func pause() { _, _ = bufio.NewReader(os.Stdin).ReadString('\n') }

// A process with an open database opens and closes the same file, as a backup program would. It
// must still hold its lock afterwards, because otherwise another process may assume that it is the
// only user. The child then continues to save and is killed with kill -9 while its log is extended.
func TestLockOutlivesAnotherDescriptor(t *testing.T) {
	const before, all = 1, 6
	if path := os.Getenv(childPath); path != "" {
		holdDatabase(path, os.Getenv(childMode) == "posix", before, all)
		return
	}
	for _, tc := range []struct {
		mode string
		held bool
	}{
		{"ofd", true},
		{"posix", false}, // control
	} {
		path := filepath.Join(t.TempDir(), "r.db")
		c := startChild(t, t.Name(), path, tc.mode)
		if said := c.says(); said != "ready "+tc.mode {
			t.Fatalf("the child printed %q, want %q", said, "ready "+tc.mode)
		}
		if held := isLocked(t, path); held != tc.held {
			t.Errorf("%s: the database is locked after its file was closed elsewhere: %v, want %v", tc.mode, held, tc.held)
		}
		lookAndLeave(t, path)
		c.goOn()
		if said := c.says(); said != "saved" {
			t.Errorf("the child printed %q", said)
		}
		if tc.held {
			if n := logSize(t, path); n != walBytes {
				t.Errorf("the log has %d bytes, want %d", n, walBytes)
			}
		}
		c.kill()
		if n := found(t, path); (n == all) != tc.held {
			t.Errorf("%s: %d of %d saves were found after kill -9", tc.mode, n, all)
		}
	}
}

// isLocked reports whether a process holds the lock that all users of an SQLite database share.
func isLocked(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const ofdSetLock = 37 // F_OFD_SETLK of Linux
	shared := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 0x40000002, Len: 510}
	err = syscall.FcntlFlock(f.Fd(), ofdSetLock, &shared)
	if err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) {
		t.Fatal(err)
	}
	return err != nil
}

// lookAndLeave does what a program with another SQLite library does: it opens the database, and if
// it finds no lock when it closes the database, it moves the log into the file and deletes the log.
// (The SQLite of this driver also checks the locks on the shared memory first. The one of Python's
// standard library does not, and has made saves vanish here.)
func lookAndLeave(t *testing.T, path string) {
	t.Helper()
	db, err := sqlitedb.Open(path, sqlitedb.Process)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("PRAGMA wal_checkpoint(PASSIVE)")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if !isLocked(t, path) {
		if err := errors.Join(os.Remove(path+"-wal"), os.Remove(path+"-shm")); err != nil {
			t.Fatal(err)
		}
	}
}

// holdDatabase is the body of the child of [TestLockOutlivesAnotherDescriptor].
func holdDatabase(path string, posix bool, before, all int) {
	err := func() error {
		if posix { // simulates the package without the check
			if _, err := driversqlite.OFDLocking(false); err != nil {
				return err
			}
			locks.Choose = func(bool) (bool, error) { return false, nil }
		}
		// The first lock of the process determines the kind of all locks.
		other, err := openOther(path)
		if err != nil {
			return err
		}
		defer other.Close()
		b, err := Open(context.Background(), path, sqlitedb.Power)
		if err != nil {
			return err
		}
		if err := saveRuns(b, 0, before); err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		fmt.Println("ready", map[bool]string{true: "ofd", false: "posix"}[driversqlite.OFDLockingEnabled()])
		pause()
		return saveRuns(b, before, all)
	}()
	if err != nil {
		fmt.Println("failed:", err)
	} else {
		fmt.Println("saved")
	}
	pause()
}

// openOther opens another database of this process without this package.
func openOther(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", path+".other")
	if err != nil {
		return nil, err
	}
	_, err = db.Exec("CREATE TABLE t (x)")
	return db, err
}

// In a process that uses the other kind of locks, no function opens a database or creates a file.
func TestWeakLocksAreRefused(t *testing.T) {
	if path := os.Getenv(childPath); path != "" {
		_, err := driversqlite.OFDLocking(false) // as some library might do
		if err == nil {
			_, err = openOther(path)
		}
		if err != nil {
			fmt.Println("failed:", err)
			return
		}
		ctx := context.Background()
		_, errOpen := Open(ctx, path, sqlitedb.Process)
		_, errUnsynced := OpenProbed(ctx, path, sqlitedb.Unsynced, probe.Probe{})
		_, errDB := sqlitedb.Open(path, sqlitedb.Process)
		_, errReader := OpenReader(ctx, path)
		for _, err := range []error{errOpen, errUnsynced, errDB, errReader} {
			fmt.Println(errors.Is(err, sqlitedb.ErrWeakLocks))
		}
		_, err = os.Stat(path)
		fmt.Println(errors.Is(err, os.ErrNotExist))
		pause()
		return
	}
	c := startChild(t, t.Name(), filepath.Join(t.TempDir(), "r.db"), "")
	for _, what := range []string{"Open", "OpenProbed", "OpenDB", "OpenReader", "no file"} {
		if said := c.says(); said != "true" {
			t.Errorf("%s: the child printed %q, want an error", what, said)
		}
	}
}

// The system does not allow the log to grow to its full size. The database can still be opened and
// used.
func TestOpenWithoutRoomForTheLog(t *testing.T) {
	const most, runs = walBytes / 4, 20
	if path := os.Getenv(childPath); path != "" {
		signal.Ignore(syscall.SIGXFSZ)
		err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most})
		if err == nil {
			var b *Backend
			if b, err = Open(context.Background(), path, sqlitedb.Power); err == nil {
				if fi, err := os.Stat(path + "-wal"); err == nil {
					fmt.Println("log", fi.Size())
				}
				err = saveRuns(b, 0, runs)
			}
		}
		fmt.Println("error", err)
		pause()
		return
	}
	path := filepath.Join(t.TempDir(), "r.db")
	c := startChild(t, t.Name(), path, "")
	if said := c.says(); said != "log 0" {
		t.Errorf("the child printed %q, want an empty log", said)
	}
	if said := c.says(); said != "error <nil>" {
		t.Errorf("the child printed %q", said)
	}
	c.kill()
	if n := found(t, path); n != runs {
		t.Errorf("%d of %d saves were found after kill -9", n, runs)
	}
}
