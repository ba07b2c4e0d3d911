package sqlite

import (
	"context"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// SQLite copies the log into the database within the commit that makes it longer than 1000 pages. At
// durability [Process] this is also when the log is synced for the first time, so this commit, and all
// saves that wait for it, take some milliseconds. Therefore a backend at this durability copies the log
// on another connection while saves go on. At [Power] the log is synced already, and two connections
// that sync at the same time delay each other: for runs of 3 steps that is no faster.

const (
	// checkpointPages is the number of pages after which the log is copied, by the estimate of
	// package probe. The log then has about 1000.
	checkpointPages = 700
	// checkpointLate is the number of pages after which a commit copies them itself, because the other
	// connection is too slow.
	checkpointLate = "4000"
)

// checkpointIfDue starts to copy the log if it is long enough and nobody copies it. It needs the lock of
// the writer.
func (b *Backend) checkpointIfDue() {
	if b.closed.Load() || b.checkpointAt == 0 || b.logged < b.checkpointAt || !b.checkpointing.TryLock() {
		return
	}
	b.logged = 0
	go func() {
		defer b.checkpointing.Unlock()
		if err := b.checkpoint(); err != nil {
			sqlitedb.LogWarnings(b.path, []string{"the log of a database could not be copied into it, it may grow: " + err.Error()})
		}
	}()
}

// checkpoint copies the log in two passes. Most pages are copied by the first, beside the saves. The
// second copies those that were saved meanwhile. It holds the lock of the writer, so that the whole log
// is copied when the next save begins: then SQLite writes it from its start again.
func (b *Backend) checkpoint() error {
	if err := b.copyLog(); err != nil {
		return err
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	return b.copyLog()
}

// copyLog copies what no reader needs in the log. It does nothing if another process copies it.
func (b *Backend) copyLog() error {
	_, err := b.readers.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)")
	return err
}

// commitOther executes a transaction that is not a save, see package probe.
func (b *Backend) commitOther(pages int, tx func() error) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	err := tx()
	b.logged += pages
	b.checkpointIfDue()
	return err
}
