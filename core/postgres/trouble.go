package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flujo/flujo-harness/core"
)

// code returns the SQLSTATE of an error of the server, or "" for other errors.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) && len(e.Code) == 5 {
		return e.Code
	}
	return ""
}

func isUnique(err error) bool { return code(err) == "23505" }

// inDoubt reports whether it is unknown what the server did before an error: the connection failed,
// or the server was ending it.
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

// lost reports whether a statement may have been sent before an error, so that its outcome is
// unknown.
func lost(err error) bool { return inDoubt(err) && !pgconn.SafeToRetry(err) }

// known reports whether an error occurred on this side before anything was sent.
func known(err error) bool {
	for _, kind := range []error{errOverwritten, errSettings, core.ErrRunNotFound, core.ErrRunFinished, core.ErrFenced, core.ErrCorrupt,
		core.ErrClosed, pgx.ErrNoRows} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// again reports whether a statement that the server rolled back should be repeated.
func again(err error) bool {
	switch c := code(err); c {
	case "40001", "40P01", "55P03", "57014": // serialization, deadlock, lock timeout, statement timeout
		return true
	case "53300", "57P03": // too many connections, starting up
		return true
	default:
		// A standby: it may soon become the primary, or the primary may get its name.
		return c == "25006" || errors.Is(err, errSettings)
	}
}

// trouble adds the name of the database and a remedy to an error, unless it is an error of the engine.
func (b *Backend) trouble(err error) error {
	if err == nil || known(err) && !errors.Is(err, errSettings) {
		return err
	}
	return fmt.Errorf("database %s: %w", b.server.place, b.server.hide(advised(err)))
}
