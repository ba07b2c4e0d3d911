package history

import (
	"errors"
	"fmt"
)

// DamagedError is a history file that is not a database, or a malformed one.
type DamagedError struct {
	Path string
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("history %s is damaged (%v): nothing was changed in it; move it away, or name another file with --db", e.Path, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// InUseError is a history that another process kept locked for too long. It is sound.
type InUseError struct {
	Path string
	Err  error
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("history %s is in use by another process (%v): wait for it to finish and try again, or name another file with --db", e.Path, e.Err)
}

func (e *InUseError) Unwrap() error { return e.Err }

// UnwritableError is a history that cannot be created or written.
type UnwritableError struct {
	Path string
	Err  error
}

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("history %s cannot be written (%v): make the file and its folder writable and see that the disk has room, or name another file with --db", e.Path, e.Err)
}

func (e *UnwritableError) Unwrap() error { return e.Err }

// ForeignError is a database that is no history: of the engine, or of another program.
type ForeignError struct{ Path string }

func (e *ForeignError) Error() string {
	return fmt.Sprintf("database %s is not a history of flujo-harness: nothing was changed in it; name another file with --db", e.Path)
}

// ErrNoRun is a run that is not in the history.
var ErrNoRun = errors.New("no such run in the history")

// OfFile reports whether an error is of the file, and not of what was to be written to it.
func OfFile(err error) bool {
	var damaged *DamagedError
	var inUse *InUseError
	var unwritable *UnwritableError
	return errors.As(err, &damaged) || errors.As(err, &inUse) || errors.As(err, &unwritable)
}

// errSum is content that is not what was written: a page of the file that is damaged
// and still reads as a database.
var errSum = errors.New("its checksum does not fit")

// The primary result codes of SQLite that need different answers from the user.
// https://www.sqlite.org/rescode.html
const (
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeIO       = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// explain turns an error of the database into one that says what to do. A locked
// file is never called damaged: people delete what is damaged.
func (h *History) explain(doing string, err error) error {
	if errors.Is(err, errSum) || errors.Is(err, errPacked) {
		return &DamagedError{Path: h.path, Err: err}
	}
	var coded interface {
		error
		Code() int
	}
	if errors.As(err, &coded) {
		switch coded.Code() & 0xff {
		case codeBusy, codeLocked:
			return &InUseError{Path: h.path, Err: coded}
		case codeCorrupt, codeNotADB:
			return &DamagedError{Path: h.path, Err: coded}
		case codeReadOnly, codeIO, codeFull, codeCantOpen:
			return &UnwritableError{Path: h.path, Err: coded}
		}
	}
	return fmt.Errorf("%s history %s: %w", doing, h.path, err)
}
