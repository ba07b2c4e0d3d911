package sqlitedb

import (
	"errors"
	"fmt"

	driversqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
)

// advice holds remedies by primary result code (https://www.sqlite.org/rescode.html). In each
// case the save was not made, earlier saves are intact, and the backend works again once the
// cause is removed.
var advice = map[int]string{
	lib.SQLITE_FULL:     "the disk is full, or a quota is reached: free some space",
	lib.SQLITE_IOERR:    "the system could not read or write: check its log and the limits on file sizes",
	lib.SQLITE_READONLY: "the file, its folder or the file system is read-only: make them writable",
	lib.SQLITE_CANTOPEN: "a file could not be opened: check that the folder exists and is writable, and the limit on open files",
	lib.SQLITE_BUSY:     "another process holds the write lock: wait for it or end it",
	lib.SQLITE_NOTADB:   "it is another kind of file, or its header is damaged: check the name; nothing was changed",
	lib.SQLITE_CORRUPT:  "keep a copy of the database with its -wal and -shm files, and restore a backup",
}

// Advise appends a remedy to an error of SQLite, if there is one. A damaged file also wraps
// [core.ErrCorrupt].
func Advise(err error) error {
	kind := Code(err) & 0xff
	text, ok := advice[kind]
	if !ok {
		return err
	}
	if kind == lib.SQLITE_CORRUPT {
		err = fmt.Errorf("%w: %w", core.ErrCorrupt, err)
	}
	return fmt.Errorf("%w: %s", err, text)
}

// Code returns SQLite's extended result code of err, or 0 if err is not an error of SQLite.
func Code(err error) int {
	if err == nil {
		return 0 // avoids the allocation of e, since most statements succeed
	}
	var e *driversqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}
