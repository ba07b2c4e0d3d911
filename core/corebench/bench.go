// Package corebench defines what a backend of package core must provide, in addition to the
// interface for its users, so that package harness can measure it. Package coretest specifies a
// backend; every backend that passes its tests and has a [Backend] can be measured.
//
// A measurement compares runs without a backend (N) and with it (W) against the floor (F): the same
// bytes in the same transactions, written with bare driver calls. For this a backend must be opened
// once for each arm, its transactions must be recorded and replayed, and what it saved must be
// counted independently.
package corebench

import (
	"context"

	"github.com/flujo/flujo-harness/core"
)

// Backend is a kind of backend that can be measured. Its methods may be called from several
// goroutines.
//
// A place identifies a database: the path of a file that does not exist yet, in a directory that
// exists. A backend that does not use files derives a name from it. Each place is used once, and
// its directory is deleted at the end.
type Backend interface {
	// Name returns one word, such as "sqlite".
	Name() string
	// Levels returns the levels of durability, the weakest first, which is [Unsynced].
	Levels() []Level
	// Open creates the database of a place, with the given durability. It returns the backend as
	// its users have it, without any recording.
	Open(ctx context.Context, place, durability string) (Store, error)
	// OpenRecorder is like Open, but records everything that is committed, which is slower.
	OpenRecorder(ctx context.Context, place, durability string) (Recorder, error)
	// OpenFloor creates a database as Open does, and returns a replay of a recording that a
	// Recorder of this backend made.
	OpenFloor(ctx context.Context, place, durability string, rec Recording) (Floor, error)
	// Count counts what is saved in a place, over a connection of its own.
	Count(ctx context.Context, place string) (RowCounts, error)
	// About describes what else the results depend on besides the program, with versions: a server
	// and its driver. Counts are only compared if it is the same. It is "" if there is nothing.
	About(ctx context.Context) (string, error)
}

// Unsynced is the durability of saves that do not wait for storage and survive nothing. It shows
// what the rest of a save costs.
const Unsynced = "unsynced"

// Level describes what saves can survive.
type Level struct {
	Durability string // name for users and in limits; begins with the backend's name, except sqlite's "process" and "power"
	Category   string // category of the cost of this level, compared with the previous one
	Adds       string // describes what is done in addition
	Waits      bool   // whether saves wait for storage
	Local      bool   // whether that is the storage of the place's directory
}

// Store is an open database that can be measured.
type Store interface {
	core.Backend
	// Durability returns what saves survive, as read back from the connections that make them. It
	// returns an error if they survive nothing.
	Durability() (string, error)
	// Discard closes the database and deletes its data outside the directory of its place.
	Discard() error
}

// Recorder is a store whose transactions are recorded. No save may run while one of the methods of
// Recorder itself is called.
type Recorder interface {
	Store
	// Mark ends an operation: everything committed since the previous mark belongs to it.
	Mark()
	// Recording returns what was committed so far.
	Recording() (Recording, error)
	// IO returns what was written so far.
	IO() IOStats
}

// Recording holds the committed transactions in order.
type Recording interface {
	Len() int        // number of transactions
	Statements() int // number of their statements, without BEGIN and COMMIT
}

// Floor replays a recording. It is not safe for concurrent use.
type Floor interface {
	// Next commits the transactions up to the next mark.
	Next() error
	// Replay commits the next n transactions.
	Replay(n int) error
	// Discard closes the database and deletes its data, like that of [Store].
	Discard() error
}

// IOStats counts what a store has written, to its files or over its connections to a server.
type IOStats struct {
	Writes int64 // number of calls
	Bytes  int64
	Pages  int64 // pages written to the log; 0 if there is no log on this side
	Syncs  int64 // 0 if there are none on this side
}

// RowCounts counts the contents of a database.
type RowCounts struct {
	Runs     int64
	Finished int64 // runs that have ended, are paused or are stopped
	Records  int64 // step records, including the start of each run
	Commits  int64 // transactions that produced these rows, according to the storage; 0 if it does not know
}
