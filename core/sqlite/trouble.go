package sqlite

import (
	"fmt"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
)

// advised tells what to do about an error of the disk or of the file. In each case the
// save was not made, all earlier ones stand, and the backend works again as soon as the
// cause is gone.
func advised(err error) error {
	var advice string
	switch code(err) & 0xff {
	case lib.SQLITE_FULL:
		advice = "the disk is full, or a quota is reached: make room"
	case lib.SQLITE_IOERR:
		advice = "the system could not read or write: see its log, and the limits on the size of files"
	case lib.SQLITE_READONLY:
		advice = "the file, its folder or the file system can only be read: see that they can be written to"
	case lib.SQLITE_CANTOPEN:
		advice = "a file could not be opened: see that the folder is there and can be written to, and how many files may be open"
	case lib.SQLITE_BUSY:
		advice = "another process holds the lock for writing: see what it does"
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w: keep a copy of the database and of the files beside it, and go on from a backup", core.ErrCorrupt, err)
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, advice)
}

// trouble names the database as well, where the error is not of the engine's own.
func (b *Backend) trouble(err error) error {
	if code(err) == 0 {
		return err
	}
	return fmt.Errorf("database %s: %w", b.path, advised(err))
}
