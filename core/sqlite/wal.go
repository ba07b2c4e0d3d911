package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
	lib "modernc.org/sqlite/lib"
)

// walBytes is the size to which the write-ahead log is extended: its header and 1024
// frames of one page each. SQLite checkpoints the log after 1000 frames and then starts
// again at its beginning, so it rarely becomes longer. A page has 4096 bytes.
const walBytes = 32 + 1024*(24+4096)

// extendWAL writes zeros after the end of the write-ahead log, up to [walBytes].
// Overwriting a block of a file and syncing it takes half the time of appending one, because
// the file system does not have to record a new block and a new size. Zeros are written
// instead of reserving blocks, because the first use of a reserved block is recorded too.
//
// extendWAL holds the write lock of the database, so that no other connection appends
// meanwhile. SQLite does not mistake zeros for frames: recovery stops at the first frame
// whose salt is not that of the header, and treats a log without a header as empty.
//
// Since this only saves time, extendWAL does nothing, without an error or a wait, if the lock
// is taken, the file cannot be opened or the disk is full; in the last case the file gets its
// old size again. An error means that the connection must not be used.
func (w *writer) extendWAL(ctx context.Context) error {
	if w.logSize() >= walBytes {
		return nil
	}
	return w.waiting(ctx, "0", func() error {
		if _, err := w.exec(stmtBegin, nil); err != nil {
			return nil
		}
		lengthen(w.log)
		_, err := w.exec(stmtRollback, nil)
		return err
	})
}

// logName returns the name of the log. It is derived from SQLite's own name of the database, in
// which symbolic links are resolved.
func logName(ctx context.Context, conn driver.Conn) (string, error) {
	v, err := sqlitedb.QueryValue(ctx, conn, "SELECT file FROM pragma_database_list WHERE name = 'main'")
	name, _ := v.(string)
	return name + "-wal", err
}

// logSize returns the size of the log, or MaxInt64 if it is unknown.
func (w *writer) logSize() int64 {
	fi, err := os.Stat(w.log)
	if err != nil {
		return math.MaxInt64
	}
	return fi.Size()
}

// waiting calls f while the connection waits for locks for at most the given number of
// milliseconds. If the previous value cannot be restored, the writer refuses further saves,
// because they would fail for a lock that is held briefly, or wait longer than promised.
func (w *writer) waiting(ctx context.Context, most string, f func() error) error {
	timeout, err := sqlitedb.QueryValue(ctx, w.conn, "PRAGMA busy_timeout")
	if err != nil {
		return err
	}
	was := fmt.Sprint(timeout)
	if err := w.wait(ctx, most); err != nil {
		return errors.Join(err, w.waitAgain(ctx, was))
	}
	return errors.Join(f(), w.waitAgain(ctx, was))
}

// wait sets the time that the connection waits for locks, in milliseconds.
func (w *writer) wait(ctx context.Context, most string) error {
	got, err := sqlitedb.Pragma(ctx, w.conn, sqlitedb.Setting{Name: "busy_timeout", Set: most})
	if err == nil && got != most {
		err = fmt.Errorf("busy_timeout is %s where %s was set", got, most)
	}
	return err
}

// waitAgain restores the time that the connection waits for locks.
func (w *writer) waitAgain(ctx context.Context, was string) error {
	err := w.wait(ctx, was)
	if err != nil {
		w.unfit = fmt.Errorf("the wait for locks could not be restored after the log was looked at: open the database again: %w", err)
	}
	return w.unfit
}

const (
	longLog  = 4 * walBytes // a longer log is truncated
	logLooks = 256          // number of transactions between two checks of its size
)

// shorten truncates a long log. SQLite restarts the log only when nobody reads from it; if there
// is always a reader, it grows without a limit. shorten waits up to 100 ms for present readers,
// not for new ones, and tries again later. It is called after each transaction. An error does not
// concern the saves, which are made already: the log stays unchanged.
func (w *writer) shorten(ctx context.Context) error {
	if w.unlooked++; w.unlooked < logLooks {
		return nil
	}
	w.unlooked = 0
	if size := w.logSize(); size <= longLog || size == math.MaxInt64 {
		return nil
	}
	err := w.waiting(ctx, "100", func() error {
		_, err := sqlitedb.QueryValue(ctx, w.conn, "PRAGMA wal_checkpoint(TRUNCATE)")
		if sqlitedb.Code(err)&0xff == lib.SQLITE_BUSY {
			return nil // another connection reads or writes: try again at the next check
		}
		return err
	})
	if err == nil && w.extended {
		err = w.extendWAL(ctx)
	}
	return err
}

// lengthen extends the named file, if possible.
func lengthen(name string) {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil {
		pad(f, fi.Size())
	}
}

// file has the methods of [os.File] that pad uses.
type file interface {
	io.WriterAt
	Sync() error
	Truncate(size int64) error
}

// pad writes zeros from the end of the file up to [walBytes]. If that fails, it restores the size.
func pad(f file, size int64) {
	zeros := make([]byte, 256<<10)
	for at := size; at < walBytes; {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), walBytes-at)], at)
		if err != nil {
			giveBack(f, size)
			return
		}
		at += int64(n)
	}
	if f.Sync() != nil { // some file systems notice only now that the disk is full
		giveBack(f, size)
	}
}

// giveBack truncates the file again, so that the remaining space is free for saves. If that fails,
// the zeros after the log do no harm.
func giveBack(f file, size int64) { _ = f.Truncate(size) }
