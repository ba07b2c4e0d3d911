package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"math"
	"os"
)

// walBytes is the size that the write-ahead log is extended to: its header and 1024
// frames of one page each. SQLite checkpoints the log after 1000 frames and then
// writes it from its start again, so it seldom grows further. Pages are of 4096 bytes.
const walBytes = 32 + 1024*(24+4096)

// extendWAL writes zeros behind the end of the write-ahead log, up to [walBytes].
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
	v, err := queryValue(ctx, conn, "SELECT file FROM pragma_database_list WHERE name = 'main'")
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
func (w *writer) waiting(ctx context.Context, most string, f func() error) error {
	timeout, err := queryValue(ctx, w.conn, "PRAGMA busy_timeout")
	if err != nil {
		return err
	}
	if _, err := pragma(ctx, w.conn, setting{name: "busy_timeout", set: most}); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	was := fmt.Sprint(timeout)
	got, err := pragma(ctx, w.conn, setting{name: "busy_timeout", set: was})
	if err == nil && got != was {
		err = fmt.Errorf("busy_timeout is %s where %s was", got, was)
	}
	return err
}

const (
	longLog  = 4 * walBytes // the log is cut off where it is longer
	logLooks = 256          // transactions between two looks at it
)

// shorten cuts a long log off. SQLite begins it again from its start only in a moment in
// which nobody reads from it, and where somebody always does it grows without an end.
// Readers that come now do not hold it up; to those that are there it gives 100 ms, and
// tries again later. It is called after each transaction.
func (w *writer) shorten(ctx context.Context) {
	if w.unlooked++; w.unlooked < logLooks {
		return
	}
	w.unlooked = 0
	if size := w.logSize(); size <= longLog || size == math.MaxInt64 {
		return
	}
	// An error is none of the saves, which are made: the log stays as it is.
	_ = w.waiting(ctx, "100", func() error {
		_, _ = queryValue(ctx, w.conn, "PRAGMA wal_checkpoint(TRUNCATE)")
		return nil
	})
	if w.extended {
		_ = w.extendWAL(ctx) // a connection that is of no use says so in the next save
	}
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
			// What little room is left is for the saves.
			_ = f.Truncate(size)
			return
		}
		at += int64(n)
	}
	_ = f.Sync()
}
