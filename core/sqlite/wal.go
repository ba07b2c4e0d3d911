package sqlite

import (
	"context"
	"fmt"
	"io"
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
	// SQLite's own name for the file: it has resolved symbolic links.
	v, err := queryValue(ctx, w.conn, "SELECT file FROM pragma_database_list WHERE name = 'main'")
	if err != nil {
		return err
	}
	name, _ := v.(string)
	name += "-wal"
	if fi, err := os.Stat(name); err != nil || fi.Size() >= walBytes {
		return nil
	}
	timeout, err := queryValue(ctx, w.conn, "PRAGMA busy_timeout")
	if err != nil {
		return err
	}
	if _, err := pragma(ctx, w.conn, setting{name: "busy_timeout", set: "0"}); err != nil {
		return err
	}
	if _, err := w.exec(stmtBegin, nil); err == nil {
		lengthen(name)
		if _, err := w.exec(stmtRollback, nil); err != nil {
			return err
		}
	}
	was := fmt.Sprint(timeout)
	got, err := pragma(ctx, w.conn, setting{name: "busy_timeout", set: was})
	if err == nil && got != was {
		err = fmt.Errorf("busy_timeout is %s where %s was", got, was)
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
			// What little room is left is for the saves.
			_ = f.Truncate(size)
			return
		}
		at += int64(n)
	}
	_ = f.Sync()
}
