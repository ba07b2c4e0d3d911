package history

import (
	"errors"
	"fmt"
)

// DamagedError reports a file that is not a database or is malformed. It was not changed.
type DamagedError struct {
	Path string
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("history %s is damaged (%v): nothing was changed in it; move it away, or name another file with --db", e.Path, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// InUseError reports that another process held the lock of the history for longer than 5 s. The
// history is intact.
type InUseError struct {
	Path string
	Err  error
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("history %s is in use by another process (%v): wait for it to finish and try again, or name another file with --db", e.Path, e.Err)
}

func (e *InUseError) Unwrap() error { return e.Err }

// UnwritableError reports that a history cannot be created or written.
type UnwritableError struct {
	Path string
	Err  error
}

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("history %s cannot be written (%v): make the file and its folder writable and make sure that the disk has free space, or name another file with --db", e.Path, e.Err)
}

func (e *UnwritableError) Unwrap() error { return e.Err }

// ForeignError reports a database that is not a history but belongs to package core/sqlite or to
// another program.
type ForeignError struct{ Path string }

func (e *ForeignError) Error() string {
	return fmt.Sprintf("database %s is not a history of flujo-harness: nothing was changed in it; name another file with --db", e.Path)
}

// OlderError reports a history in a format that was used before the first release. It was not changed.
type OlderError struct{ Path string }

func (e *OlderError) Error() string {
	return fmt.Sprintf("history %s is in an older format, which this program cannot read: nothing was changed in it; "+
		"move it away to begin a new one (history sync adds the runs of a store again), or name another file with --db", e.Path)
}

// ErrNoRun reports that the history does not contain a run.
var ErrNoRun = errors.New("no such run in the history")

// OfFile reports whether an error concerns the history file rather than the run to be written.
func OfFile(err error) bool {
	var damaged *DamagedError
	var inUse *InUseError
	var unwritable *UnwritableError
	var older *OlderError
	return errors.As(err, &damaged) || errors.As(err, &inUse) || errors.As(err, &unwritable) || errors.As(err, &older)
}

// errSum reports content that differs from what was written, although SQLite could read it.
var errSum = errors.New("its checksum does not match")

// Primary result codes of SQLite that need different remedies.
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

// explain converts an error of the database to one with a remedy. It never reports a locked file as
// damaged, because users delete damaged files.
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
