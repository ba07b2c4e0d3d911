package sqlite

import "github.com/flujo/flujo-harness/core/sqlite/sqlitedb"

// Durability is what a save survives once it has returned.
type Durability = sqlitedb.Durability

// The durabilities, see [sqlitedb.Power] and [sqlitedb.Process].
const (
	Power   = sqlitedb.Power
	Process = sqlitedb.Process
)

// ErrNewer is the error for a database that a newer version of this program wrote.
type ErrNewer = sqlitedb.ErrNewer

// ErrHotLog and ErrWeakLocks are the errors of package sqlitedb.
var (
	ErrHotLog    = sqlitedb.ErrHotLog
	ErrWeakLocks = sqlitedb.ErrWeakLocks
)
