package sqlite

import (
	"fmt"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
)

// trouble tells what to do about an error of the disk or of the file. In each case the
// save was not made, all earlier ones stand, and the backend works again as soon as the
// cause is gone.
func (b *Backend) trouble(err error) error {
	var advice string
	switch code(err) & 0xff {
	case lib.SQLITE_FULL:
		advice = "the disk is full, or a quota is reached: make room"
	case lib.SQLITE_IOERR:
		advice = "the system could not read or write: see its log, and the limits on the size of files"
	case lib.SQLITE_READONLY:
		advice = "the file, its folder or the file system can only be read: mount or own it so that it can be written to"
	case lib.SQLITE_CANTOPEN:
		advice = "a file could not be opened: see that the folder can be written to and how many files may be open"
	case lib.SQLITE_BUSY:
		advice = "another process holds the lock for writing: see what it does"
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return fmt.Errorf("database %s: %w: %w: keep a copy of it and of the files beside it, and go on from a backup", b.path, core.ErrCorrupt, err)
	default:
		return err
	}
	return fmt.Errorf("database %s: %w: %s", b.path, err, advice)
}
