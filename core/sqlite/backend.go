// Package sqlite is the embedded backend of package core: one SQLite file,
// through modernc.org/sqlite, with a single writing connection.
//
// The settings of every connection are applied and read back; [Durability] says what a
// save survives. Each save is part of one transaction, which simultaneous saves may share,
// and its statement is fenced by the lease. Runs, step records and answers have
// checksums.
//
// Open a database once per process and share the [Backend]. Several processes may use one
// file. The file must be on a local file system, because WAL does not work over a network;
// a database on a network file system is refused if that can be detected.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
	"github.com/flujo/flujo-harness/core/sqlite/internal/walvfs"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

//go:embed migrations/*.sql
var files embed.FS

// seqBits is the number of bits of a step's key that have its sequence number within the run.
const (
	seqBits = 20
	maxSeq  = 1<<seqBits - 1 // maximum number of steps of a run
)

// mostKept is the size of the largest buffer for checksums that is kept, in bytes.
const mostKept = 1 << 20

// maxArgs is the maximum number of arguments of a statement; a pause has that many.
const maxArgs = 21

// Backend is a [core.Backend] in a SQLite file. All methods may be called from
// several goroutines.
type Backend struct {
	path     string
	readers  *sql.DB
	maxBatch int // maximum number of saves of a transaction

	mu    sync.Mutex      // guards the fields up to batch
	plans map[uint64]bool // fingerprints of plans whose texts are saved
	queue []*save
	led   bool    // a save leads, which is not in the queue
	batch []*save // the batch that is being committed

	// Used only by the save that leads.
	company int           // saves in the last transaction and in the queue after it, at most maxBatch
	lasted  time.Duration // duration of the last transaction with more than one save

	writing sync.Mutex // guards the writer and the fields up to broken
	w       *writer
	args    [maxArgs]driver.NamedValue // their ordinals are set once
	buf     []byte                     // for checksums
	kept    kept
	broken  map[core.Lease]brokenStep // steps that were not saved, by the lease of their run
	logged  int                       // about how many pages were written to the log since it was last copied

	checkpointAt  int        // value of logged at which the log is copied while saves go on; 0: never
	checkpointing sync.Mutex // held while that happens

	closed                             atomic.Bool
	saves, claims, commits, heartbeats atomic.Int64
	deletions                          atomic.Int64 // deletions of runs, which [core.Counts] does not have
}

var (
	_ core.Backend   = (*Backend)(nil)
	_ core.StepQueue = (*Backend)(nil)
)

// prepare creates or migrates the database at path.
func prepare(ctx context.Context, path string, d sqlitedb.Durability) (*sqlitedb.Connector, error) {
	c, err := sqlitedb.NewConnector(path, d)
	if err != nil {
		return nil, err
	}
	if err := refuseForeign(ctx, c); err != nil {
		return nil, err
	}
	migrations, err := migrationFiles()
	if err != nil {
		return nil, err
	}
	if placed, err := place(ctx, c.Path, d, migrations); placed || err != nil {
		return c, err
	}
	db := sql.OpenDB(c)
	err = sqlitedb.Migrate(ctx, db, c.Path, migrations)
	return c, errors.Join(err, db.Close())
}

// Open opens the database file at path, and creates it if it does not exist. It returns errors of
// the file system, an error if SQLite did not accept a setting, and [*ErrNewer].
func Open(ctx context.Context, path string, d sqlitedb.Durability) (*Backend, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	return open(ctx, path, d, probe.Probe{})
}

// OpenProbed is Open for package sqlitebench. That package also opens databases whose saves are not
// synced (synchronous=OFF), to measure the other parts of their cost.
func OpenProbed(ctx context.Context, path string, d sqlitedb.Durability, p probe.Probe) (*Backend, error) {
	if err := d.Check(); err != nil && d != sqlitedb.Unsynced {
		return nil, err
	}
	return open(ctx, path, d, p)
}

func open(ctx context.Context, path string, d sqlitedb.Durability, p probe.Probe) (*Backend, error) {
	c, err := prepare(ctx, path, d)
	if err != nil {
		return nil, sqlitedb.Advise(err)
	}
	if c.Vfs, err = walvfs.Over(p.VFS); err != nil {
		return nil, err
	}
	b := &Backend{path: c.Path, plans: map[uint64]bool{}, maxBatch: maxBatch}
	writing := *c
	if d != sqlitedb.Power {
		b.checkpointAt = checkpointPages
		writing.Settings = append(slices.Clone(c.Settings), sqlitedb.Setting{Name: "wal_autocheckpoint", Set: checkpointLate, Want: checkpointLate})
	}
	if b.w, err = newWriter(ctx, &writing, p.Conn); err != nil {
		return nil, sqlitedb.Advise(err)
	}
	if p.Commit != nil {
		*p.Commit = b.commitOther
	}
	b.readers = sql.OpenDB(c)
	b.readers.SetMaxOpenConns(4)
	for i := range b.args {
		b.args[i].Ordinal = i + 1
	}
	sqlitedb.LogWarnings(b.path, b.Warnings())
	return b, nil
}

// kept has arguments that are likely to be needed again. The conversion of a value to an interface
// allocates memory.
type kept struct {
	pipeline, plan, executor driver.Value     // of the last start
	run, nonce               driver.Value     // of the lease of the last save
	paths                    [16]driver.Value // of steps, by their sequence numbers
}

// reuse returns v as an argument: the old one if it is equal, otherwise a new one, which replaces it.
func reuse[T string | int64](old *driver.Value, v T) driver.Value {
	if have, ok := (*old).(T); !ok || have != v {
		*old = v
	}
	return *old
}

// bind returns the arguments of a statement in a buffer that the next call reuses.
func (b *Backend) bind(values ...driver.Value) []driver.NamedValue {
	args := b.args[:len(values)]
	for i, v := range values {
		args[i].Value = v
	}
	return args
}

// Start implements [core.Backend].
func (b *Backend) Start(ctx context.Context, rec core.StartRecord) (core.Lease, error) {
	b.mu.Lock()
	known := b.plans[rec.Plan]
	b.mu.Unlock()
	s := &start{b: b, rec: rec, of: core.Lease{Epoch: 1, Nonce: rand.Int64()}, plan: !known && rec.PlanText != ""}
	s.job, s.counter = s, &b.saves
	err := b.submit(ctx, &s.save)
	if sqlitedb.Code(err) == lib.SQLITE_CONSTRAINT_UNIQUE {
		err = fmt.Errorf("run %s: %w", rec.Key, core.ErrRunExists)
	}
	if err != nil {
		return core.Lease{}, err
	}
	if s.plan {
		b.mu.Lock()
		b.plans[rec.Plan] = true
		b.mu.Unlock()
	}
	return s.of, nil
}

// start is the start of a run.
type start struct {
	save
	b    *Backend
	rec  core.StartRecord
	plan bool // save the text of the plan too
	of   core.Lease
}

// do implements [job].
func (s *start) do() error {
	b, rec := s.b, &s.rec
	if s.plan {
		if err := b.insertPlan(rec); err != nil {
			return err
		}
	}
	b.logged += probe.Pages(0)
	var born, now, held int64
	b.buf, born = sumStart(b.buf, rec)
	b.buf, now = sumNow(b.buf, current{epoch: 1, status: core.Running})
	b.buf, held = sumHolder(b.buf, rec.Holder)
	res, err := b.w.exec(stmtInsertRun, b.bind(rec.Key.Tenant, rec.Key.Run, reuse(&b.kept.pipeline, rec.Pipeline), reuse(&b.kept.plan, int64(rec.Plan)),
		reuse(&b.kept.nonce, s.of.Nonce), int64(core.Running), rec.Time.UnixNano(), born|now, reuse(&b.kept.executor, rec.Holder.Executor), nanos(rec.Holder.Until), held))
	if err != nil {
		return err
	}
	if s.of.ID, err = res.LastInsertId(); err != nil {
		return err
	}
	if o := rec.Origin; o != (core.Origin{}) {
		if _, err := b.w.exec(stmtOrigin, b.bind(o.Key.Tenant, o.Key.Run, o.Seq, s.of.ID)); err != nil {
			return halfDone{err}
		}
	}
	first := core.StepRecord{Status: core.Running, State: rec.State, Started: rec.Time, Ended: rec.Time}
	err = b.insertStep(s.of, &first)
	if errors.Is(err, core.ErrFenced) {
		err = fmt.Errorf("run %s: %w: under its number %d there are records of another run", rec.Key, core.ErrCorrupt, s.of.ID)
	}
	if err != nil {
		return halfDone{err}
	}
	return nil
}

// insertPlan saves the text of a plan with the first run of the plan that this backend starts. Texts
// are never deleted, because there are few.
func (b *Backend) insertPlan(rec *core.StartRecord) error {
	args := b.bind(int64(rec.Plan), rec.PlanText, sumText(rec.PlanText))
	_, err := b.w.exec(stmtInsertPlan, args)
	return err
}

// Step implements [core.Backend].
func (b *Backend) Step(ctx context.Context, lease core.Lease, rec core.StepRecord) error {
	if err := checkSeq(rec.Seq); err != nil {
		return err
	}
	return b.write(ctx, &b.saves, true, func() error { return b.insertStep(lease, &rec) })
}

// Enqueue implements [core.StepQueue].
func (b *Backend) Enqueue(lease core.Lease, rec *core.StepRecord) core.Enqueued {
	s := queuedSteps.Get().(*queuedStep)
	s.job, s.counter, s.single, s.lease, s.seq = s, &b.saves, true, lease, rec.Seq
	s.b, s.rec = b, rec
	b.enqueue(&s.save)
	return s
}

// queuedStep is a step in the queue. It is reused after Wait.
type queuedStep struct {
	save
	b   *Backend
	rec *core.StepRecord
}

var queuedSteps = sync.Pool{New: func() any { return new(queuedStep) }}

// do implements [job].
func (s *queuedStep) do() error {
	if err := checkSeq(s.rec.Seq); err != nil {
		return err
	}
	return s.b.insertStep(s.lease, s.rec)
}

// Wait implements [core.Enqueued].
func (s *queuedStep) Wait() error {
	err := s.b.wait(context.Background(), &s.save)
	*s = queuedStep{}
	queuedSteps.Put(s)
	return err
}

// checkSeq returns an error if the sequence number of a record does not fit into a key.
func checkSeq(seq int64) error {
	if seq < 1 || seq > maxSeq {
		return fmt.Errorf("step record %d: a run holds at most %d", seq, maxSeq)
	}
	return nil
}

func (b *Backend) insertStep(lease core.Lease, rec *core.StepRecord) error {
	key := lease.ID<<seqBits | rec.Seq
	var boxed driver.Value = key // converted once, for two arguments
	var crc int64
	if b.buf, crc = sum(b.buf, key, rec); cap(b.buf) > mostKept {
		b.buf = nil
	}
	b.logged += probe.Pages(len(rec.Output) + len(rec.State))
	args := b.args[:16] // set in place: bind would copy them all
	args[0].Value, args[1].Value, args[2].Value = boxed, reuse(&b.kept.paths[rec.Seq%int64(len(b.kept.paths))], rec.Path), reuse(&b.kept.run, lease.ID)
	args[3].Value, args[4].Value, args[5].Value = reuse(&b.kept.nonce, lease.Nonce), rec.Seq, boxed
	args[6].Value, args[7].Value = int64(rec.Status), int64(rec.Attempts)
	args[8].Value, args[9].Value = blob(rec.Output), blob(rec.State)
	args[10].Value, args[11].Value, args[12].Value = rec.Started.UnixNano(), rec.Ended.UnixNano(), crc
	args[13].Value, args[14].Value, args[15].Value = rec.Usage.Calls, rec.Usage.Tokens, rec.Usage.Cost
	stmt := stmtInsertStep
	if rec.Feedback != "" || rec.Error != "" || isPause(rec) {
		stmt, args = stmtInsertOther, b.args[:maxArgs]
		args[16].Value, args[17].Value = rec.Feedback, rec.Error
		args[18].Value, args[19].Value, args[20].Value = rec.Token, rec.For, nanos(rec.Due)
	}
	_, err := b.w.exec(stmt, args)
	if c := sqlitedb.Code(err); c == lib.SQLITE_CONSTRAINT_NOTNULL || c == lib.SQLITE_CONSTRAINT_PRIMARYKEY {
		return fmt.Errorf("run number %d, epoch %d, step record %d: %w", lease.ID, lease.Epoch, rec.Seq, core.ErrFenced)
	}
	return err
}

// isPause reports whether a record has columns that only pauses have.
func isPause(r *core.StepRecord) bool { return r.Token != "" || r.For != "" || !r.Due.IsZero() }

// nanos returns the stored form of a time: 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// moment is the inverse of [nanos].
func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return instant(n)
}

// blob returns NULL for nil. The driver stores an empty slice as an empty blob.
func blob(p []byte) driver.Value {
	if p == nil {
		return nil
	}
	return p
}

// Finish implements [core.Backend].
func (b *Backend) Finish(ctx context.Context, lease core.Lease, rec core.FinishRecord) error {
	if rec.State != nil {
		if err := checkSeq(rec.Seq); err != nil {
			return err
		}
	}
	s := &finish{b: b, of: lease, rec: rec}
	s.job, s.counter, s.single = s, &b.saves, rec.State == nil
	err := b.submit(ctx, &s.save)
	if rec.Status == core.Paused && errors.Is(err, core.ErrFenced) {
		answered, readErr := b.answered(ctx, lease, rec.Answers)
		switch {
		case readErr != nil: // the cause is unknown
			err = fmt.Errorf("run number %d: its pause was not saved, and why could not be read: %w", lease.ID, b.trouble(readErr))
		case answered:
			err = fmt.Errorf("run number %d: %w", lease.ID, core.ErrSignalled)
		}
	}
	return err
}

// finish is the end, the pause or the stop of a run.
type finish struct {
	save
	b   *Backend
	of  core.Lease
	rec core.FinishRecord
}

// do implements [job].
func (s *finish) do() error {
	b, rec := s.b, &s.rec
	if rec.State != nil {
		// A record without a path. The run is still running at this point, so the fence applies to it too.
		last := core.StepRecord{Seq: rec.Seq, Status: rec.Status, State: rec.State, Started: rec.Time, Ended: rec.Time}
		if err := b.insertStep(s.of, &last); err != nil {
			return err
		}
	}
	b.logged += probe.Pages(0)
	var now int64
	end, wake, seen := rec.Time.UnixNano(), nanos(rec.Wake), int64(rec.Answers)
	b.buf, now = sumNow(b.buf, current{s.of.Epoch, rec.Status, rec.Error, end, wake, seen, rec.Exits})
	args := b.bind(int64(rec.Status), rec.Error, end, blob(rec.Exits), wake, seen, now, reuse(&b.kept.run, s.of.ID), reuse(&b.kept.nonce, s.of.Nonce), rec.Status != core.Paused, seen)
	ok, err := b.w.affect(stmtFinish, args)
	if err == nil && !ok {
		err = fmt.Errorf("run number %d, epoch %d: %w", s.of.ID, s.of.Epoch, core.ErrFenced)
	}
	if err != nil && rec.State != nil {
		err = halfDone{err}
	}
	return err
}

// answered reports whether a pause was refused because of new answers, and not by the fence.
func (b *Backend) answered(ctx context.Context, lease core.Lease, known int) (bool, error) {
	var n int
	err := b.readers.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM answers WHERE run = runs.id) FROM runs WHERE id = ? AND nonce = ? AND status = 1`,
		lease.ID, lease.Nonce).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && n != known, err
}

// Load implements [core.Backend].
func (b *Backend) Load(ctx context.Context, key core.RunKey) (core.Snapshot, error) {
	run, err := b.load(ctx, key)
	return run.Snapshot, err
}

func instant(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }

// Durability returns what a save survives, read back from the connection that saves. It is an error if
// the database is not in WAL mode or its saves are not synced. [Backend.Warnings] has other risks to
// saves on this system.
func (b *Backend) Durability() (sqlitedb.Durability, error) {
	b.writing.Lock()
	defer b.writing.Unlock()
	if b.closed.Load() {
		return "", core.ErrClosed
	}
	read := func(name string) (string, error) {
		v, err := sqlitedb.QueryValue(context.Background(), b.w.conn, "PRAGMA "+name)
		return fmt.Sprint(v), err
	}
	mode, err := read("journal_mode")
	if err != nil {
		return "", err
	}
	level, err := read("synchronous")
	if err != nil {
		return "", err
	}
	for _, d := range []sqlitedb.Durability{sqlitedb.Power, sqlitedb.Process} {
		if want, err := d.Synchronous(); err == nil && level == want && mode == "wal" {
			return d, nil
		}
	}
	return "", fmt.Errorf("database %s: journal_mode is %q and synchronous %s: nothing is durable", b.path, mode, level)
}

// Warnings returns the protections that the database does not have here, see [Warnings].
func (b *Backend) Warnings() []string { return sqlitedb.Warnings(b.path) }

// Counts implements [core.Backend].
func (b *Backend) Counts() core.Counts {
	return core.Counts{Saves: b.saves.Load(), Claims: b.claims.Load(), Commits: b.commits.Load(), Heartbeats: b.heartbeats.Load()}
}

// Close implements [core.Backend]. It waits for a save that is being committed. A second Close does
// nothing.
func (b *Backend) Close() error { return b.close(func() error { return nil }) }

// Discard closes a database that is about to be deleted. It does not sync the log into the database
// file, which takes most of the time of [Backend.Close].
func (b *Backend) Discard() error { return b.close(b.w.careless) }

// close calls before and then closes the files; a second call does nothing.
func (b *Backend) close(before func() error) error {
	b.writing.Lock()
	second := b.closed.Swap(true)
	b.writing.Unlock()
	if second {
		return nil
	}
	b.checkpointing.Lock() // none begins after this, because nothing is committed any more
	defer b.checkpointing.Unlock()
	return errors.Join(before(), b.readers.Close(), b.w.close())
}

// trouble adds the name of the database to an error, unless it is an error of the engine.
func (b *Backend) trouble(err error) error {
	if sqlitedb.Code(err) == 0 {
		return err
	}
	return fmt.Errorf("database %s: %w", b.path, sqlitedb.Advise(err))
}
