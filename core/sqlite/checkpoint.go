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

// tidy keeps the log short, and is called with the lock of the writer after each transaction. It truncates
// a log that is very long, and starts to copy one that is long enough. While the log is copied it can do
// neither: the next call tries again. An error does not concern the saves that were made: it is logged, and
// if the writer must not be used any more, further saves are refused.
func (b *Backend) tidy() {
	if b.closed.Load() || !b.checkpointing.TryLock() {
		return
	}
	if err := b.w.shorten(context.Background()); err != nil {
		sqlitedb.LogWarnings(b.path, []string{"the log of a database could not be shortened, it may grow: " + err.Error()})
	}
	if b.checkpointAt == 0 || b.logged < b.checkpointAt {
		b.checkpointing.Unlock()
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

// checkpoint copies the log into the database in two passes. The first one copies most pages, while saves
// go on. The second one copies those that were saved meanwhile, and holds the lock of the writer. So the
// whole log is copied when the next save begins, and SQLite overwrites the log from its start.
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
	b.tidy()
	return err
}
