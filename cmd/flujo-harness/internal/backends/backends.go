// Package backends lists the backends that the commands support. No other package of the commands
// names them.
package backends

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/postgres"
	"github.com/flujo/flujo-harness/core/postgres/postgresbench"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/workdir"
)

// init registers the backends that package harness does not list itself, because of their
// drivers.
func init() {
	open := func(address string) (corebench.Backend, error) {
		b, err := postgresbench.New(address)
		if err != nil {
			return nil, err // not a nil *Backend in an interface
		}
		return b, nil
	}
	harness.Register("postgres", open)
	harness.Register("postgresql", open)
}

// About is part of the help of every command that reads a database of runs.
const About = `The database is the one that your program gives to sqlite.Open or postgres.Open: name its
file, or its address postgres://user@host/database, with --db. It is only read: not
created, not migrated, not repaired. Engines may go on saving to it. Leave a password to
the variable PGPASSWORD or to a .pgpass file.`

// Reader is a database of runs, opened for reading.
type Reader interface {
	core.Lister
	Load(ctx context.Context, key core.RunKey) (core.Snapshot, error)
	Close() error
}

// OpenReader opens the database of runs that db names: an address, or a file of the project.
// shown is its name in messages.
func OpenReader(ctx context.Context, p project.Project, db string) (r Reader, shown string, err error) {
	if isAddress(db) {
		r, err := postgres.OpenReader(ctx, db)
		if err != nil {
			return nil, "", err
		}
		return r, "postgres://" + r.Place(), nil
	}
	shown = workdir.ShortPath(p.Path(db, ".flujo/runs.db"))
	file, err := sqlite.OpenReader(ctx, shown)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: name the one that your program gives to sqlite.Open with --db", err)
	}
	if err != nil {
		return nil, "", err
	}
	return file, shown, nil
}

// isAddress reports whether db is the address of a PostgreSQL database, not a file.
func isAddress(db string) bool {
	return strings.HasPrefix(db, "postgres://") || strings.HasPrefix(db, "postgresql://")
}
