package sqlitedb

import (
	"errors"
	"fmt"

	driversqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
)

// advice is what to do about an error of the disk or of the file, by SQLite's code. In
// each case the save was not made, all earlier ones stand, and the backend works again as
// soon as the cause is gone.
var advice = map[int]string{
	lib.SQLITE_FULL:     "the disk is full, or a quota is reached: make room",
	lib.SQLITE_IOERR:    "the system could not read or write: see its log, and the limits on the size of files",
	lib.SQLITE_READONLY: "the file, its folder or the file system can only be read: see that they can be written to",
	lib.SQLITE_CANTOPEN: "a file could not be opened: see that the folder is there and can be written to, and how many files may be open",
	lib.SQLITE_BUSY:     "another process holds the lock for writing: see what it does",
	lib.SQLITE_NOTADB:   "it is another kind of file, or its beginning is damaged: see that the name is right; nothing was changed",
	lib.SQLITE_CORRUPT:  "keep a copy of the database and of the files beside it, and go on from a backup",
}

// advised says what to do about an error, where there is something.
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

// Code is SQLite's extended result code, 0 where err is of another kind.
func Code(err error) int {
	if err == nil {
		return 0 // e escapes, and most statements succeed
	}
	var e *driversqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}
