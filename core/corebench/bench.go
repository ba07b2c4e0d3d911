// Package corebench is what a backend of package core gives to be measured by package harness,
// in addition to what it gives to everybody. Package coretest says what a backend must do; one
// that passes it, and has a [Backend], can be measured.
//
// A measurement compares runs without a backend (N) and with it (W) with the floor (F): the
// same bytes in the same transactions, by bare driver calls. So a backend must be opened for
// each of the arms that are compared, its transactions recorded and replayed, and what it
// saved counted by somebody who did not save it.
package corebench

import (
	"context"

	"github.com/flujo/flujo-harness/core"
)

// Backend is a kind of backend that can be measured. Its methods may be called from several
// goroutines.
//
// A place is a database of its own: the path of a file that does not exist yet, in a folder
// that does. A backend that keeps nothing in files derives a name from it. Places are used
// once, and their folder is deleted in the end.
type Backend interface {
	// Name is one word, as "sqlite".
	Name() string
	// Levels are what saves can survive, the weakest first: [Unsynced].
	Levels() []Level
	// Open makes the database of a place, whose saves survive what the durability of a level
	// names. What it returns is what users of the backend have: nothing of it is recorded.
	Open(ctx context.Context, place, durability string) (Store, error)
	// OpenRecorder is Open with all that is committed recorded, which is slower.
	OpenRecorder(ctx context.Context, place, durability string) (Recorder, error)
	// OpenFloor makes a database as Open does, and a replay of what a Recorder of this backend
	// has recorded.
	OpenFloor(ctx context.Context, place, durability string, rec Recording) (Floor, error)
	// Count counts what is saved in a place, by a connection of its own.
	Count(ctx context.Context, place string) (RowCounts, error)
	// About names what else than the program the figures depend on, with versions: a server and
	// its driver. Counts are compared where it is the same. It is "" where there is nothing.
	About(ctx context.Context) (string, error)
}

// Unsynced is the durability of saves that wait for no storage and survive nothing: there to
// find out what the rest of a save costs.
const Unsynced = "unsynced"

// Level is what saves can survive.
type Level struct {
	Durability string // as users name it, and as it stands in limits: unique among all backends but for sqlite's "process" and "power"
	Category   string // of the cost of this level over the one before
	Adds       string // in words, what is done for it
	Waits      bool   // saves wait for storage
	Local      bool   // which is that of the place's folder
}

// Store is an open database that is measured.
type Store interface {
	core.Backend
	// Durability is what saves survive, read back from the connections that make them. It is an
	// error where that is nothing.
	Durability() (string, error)
	// Discard closes the database and deletes what is not in the folder of its place.
	Discard() error
}

// Recorder is a store whose transactions are recorded. Nothing may be saved while one of its
// own methods is called.
type Recorder interface {
	Store
	// Mark ends an operation: what was committed since the mark before belongs to it.
	Mark()
	// Recording is what was committed so far.
	Recording() (Recording, error)
	// IO is what was written so far.
	IO() IOStats
}

// Recording is what was committed, in order.
type Recording interface {
	Len() int        // transactions
	Statements() int // of them, BEGIN and COMMIT aside
}

// Floor replays a recording. It is not safe for concurrent use.
type Floor interface {
	// Next commits what was committed up to the next mark.
	Next() error
	// Replay commits the next n transactions.
	Replay(n int) error
	// Discard closes the database as that of a [Store].
	Discard() error
}

// IOStats is what a store has written: to its files, or to its connections with a server.
type IOStats struct {
	Writes int64 // calls
	Bytes  int64
	Pages  int64 // put into the log; 0 where there is none on this side
	Syncs  int64 // likewise
}

// RowCounts is how much a database holds.
type RowCounts struct {
	Runs     int64
	Finished int64 // runs that have ended, are paused or have stopped
	Records  int64 // of steps, the start of each run included
	Commits  int64 // transactions that made these rows as they are now, as the storage knows them; 0 where it does not
}
