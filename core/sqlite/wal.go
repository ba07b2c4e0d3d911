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

// walBytes is the size that the write-ahead log is extended to: its header and 1024
// frames of one page each. SQLite checkpoints the log after 1000 frames and then
// writes it from its start again, so it seldom grows further. Pages are of 4096 bytes.
const walBytes = 32 + 1024*(24+4096)

// extendWAL writes zeros after the end of the write-ahead log, up to [walBytes].
// Overwriting a block of a file and syncing it takes half the time of appending one:
// the file system has no new block and no new size to write down. Zeros are written,
// not a hole: blocks that are only reserved are written down at their first use too.
//
// It does so only with the database's write lock held, so that no other connection
// appends meanwhile. Zeros are no frame to SQLite: recovery stops at the first frame
// whose salt is not the header's, and takes a log without a header for an empty one.
//
// This only saves time, so it gives up without an error, and without a wait, where
// the lock is taken, the file cannot be opened or the disk is full: then the file gets
// its old size back. An error means that the connection must not be used.
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

// logName is the log's name by SQLite's own name for the database: it has resolved symbolic
// links.
func logName(ctx context.Context, conn driver.Conn) (string, error) {
	v, err := sqlitedb.QueryValue(ctx, conn, "SELECT file FROM pragma_database_list WHERE name = 'main'")
	name, _ := v.(string)
	return name + "-wal", err
}

// logSize is the size of the log; where it is not to be had, more than any.
func (w *writer) logSize() int64 {
	fi, err := os.Stat(w.log)
	if err != nil {
		return math.MaxInt64
	}
	return fi.Size()
}

// waiting calls f with another time that the connection waits for locks, in milliseconds.
// Where the time from before cannot be restored the writer takes no more saves: they would
// give up on a lock that is held for a moment, or wait for longer than was promised.
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
	longLog  = 4 * walBytes // the log is cut off where it is longer
	logLooks = 256          // transactions between two looks at it
)

// shorten cuts a long log off. SQLite begins it again from its start only in a moment in
// which nobody reads from it, and where somebody always does it grows without an end.
// Readers that come now do not hold it up; to those that are there it gives 100 ms, and
// tries again later. It is called after each transaction. An error is none of the saves,
// which are made: the log stays unchanged.
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
			return nil // somebody reads or writes: at the next look
		}
		return err
	})
	if err == nil && w.extended {
		err = w.extendWAL(ctx)
	}
	return err
}

// lengthen extends the file with that name, if it can.
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

// file is what pad needs of an [os.File].
type file interface {
	io.WriterAt
	Sync() error
	Truncate(size int64) error
}

// pad writes zeros from the file's size up to [walBytes], or leaves it as it was.
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
	if f.Sync() != nil { // some file systems find out only now that there is no room
		giveBack(f, size)
	}
}

// giveBack leaves to the saves what little room there is. Where it fails there are zeros
// after the log, which do no harm.
func giveBack(f file, size int64) { _ = f.Truncate(size) }
