package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flujo/flujo-harness/core"
)

// code is the SQLSTATE of an error of the server, "" where err is of another kind.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) && len(e.Code) == 5 {
		return e.Code
	}
	return ""
}

func isUnique(err error) bool { return code(err) == "23505" }

// inDoubt reports whether an error leaves open what the server has done: it is of the
// connection, or the server was ending it.
func inDoubt(err error) bool {
	if err == nil || known(err) {
		return false
	}
	switch c := code(err); {
	case c == "":
		return true
	case c == "57P01", c == "57P02", c == "57P05", c == "25P03": // shutdown, crash, session timeouts
		return true
	default:
		return c[:2] == "08" || c[:2] == "58" || c[:2] == "XX" // connection, I/O error, internal error
	}
}

// lost reports whether an error came after a statement may have been sent whose outcome is
// not known.
func lost(err error) bool { return inDoubt(err) && !pgconn.SafeToRetry(err) }

// known reports whether an error was made on this side, with nothing sent.
func known(err error) bool {
	for _, kind := range []error{errOverwritten, errSettings, core.ErrRunNotFound, core.ErrRunFinished, core.ErrFenced, core.ErrCorrupt,
		core.ErrClosed, pgx.ErrNoRows} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// again reports whether a statement that the server has undone is worth another attempt.
func again(err error) bool {
	switch c := code(err); c {
	case "40001", "40P01", "55P03", "57014": // serialization, deadlock, lock timeout, statement timeout
		return true
	case "53300", "57P03": // too many connections, starting up
		return true
	default:
		// A standby: the primary that it becomes, or that takes its name, may be there soon.
		return c == "25006" || errors.Is(err, errSettings)
	}
}

// trouble names the database and says what to do, where the error is not of the engine's own.
func (b *Backend) trouble(err error) error {
	if err == nil || known(err) && !errors.Is(err, errSettings) {
		return err
	}
	return fmt.Errorf("database %s: %w", b.server.place, b.server.hide(advised(err)))
}
