package worker

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// presence is the session that shows that this worker is alive: it holds an advisory lock whose key
// is derived from the name of the worker.
type presence struct {
	w *Worker

	mu     sync.Mutex
	conn   *pgx.Conn // nil if the session was lost
	sweeps bool      // the session also holds the lock of the sweeper
	since  time.Time // start of the session; after a loss the other workers get one lease to return as well
	again  bool      // a session was lost before
}

// sweepKey is the key of the lock of the worker that looks for lost workers.
var sweepKey = lockKey("", "sweeper")

// lockKey returns the key of an advisory lock.
func lockKey(kind, name string) int64 {
	h := fnv.New64a()
	h.Write([]byte("flujo worker " + kind + "\x00" + name))
	return int64(h.Sum64())
}

func newPresence(w *Worker) *presence { return &presence{w: w} }

// begin opens the session and checks that no pooler shares it.
func (p *presence) begin(ctx context.Context) error {
	if err := p.connect(ctx); err != nil {
		return err
	}
	there, err := p.w.there(ctx, []string{p.w.config.Name})
	if err == nil && !there[p.w.config.Name] {
		err = errors.New("the session of the worker does not hold its lock: a pooler gives its connection to others; " +
			"let it pool sessions (PgBouncer: pool_mode = session), or name the server itself")
	}
	if err != nil {
		p.end()
	}
	return err
}

// connect opens the session and takes its lock.
func (p *presence) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(p.w.config.Lease/3, time.Second))
	defer cancel()
	conn, err := p.w.backend.Connect(ctx)
	if err != nil {
		return err
	}
	// With these settings the server ends the session of an unreachable machine within a lease.
	secs := max(1, int(p.w.config.Lease.Seconds()/4))
	_, err = conn.Exec(ctx, fmt.Sprintf(`SET tcp_keepalives_idle = %d; SET tcp_keepalives_interval = %d; SET tcp_keepalives_count = 2; `+
		`SET tcp_user_timeout = %d; SET idle_in_transaction_session_timeout = 0`, secs, secs, 3*secs*1000), pgx.QueryExecModeSimpleProtocol)
	locked := false
	if err == nil {
		err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, lockKey("presence", p.w.config.Name)).Scan(&locked)
	}
	if err == nil && !locked {
		err = fmt.Errorf("another session holds the lock of the worker %q: worker names must be unique", p.w.config.Name)
	}
	if err != nil {
		return errors.Join(err, conn.Close(ctx))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn, p.sweeps, p.since = conn, false, time.Now()
	return nil
}

// end closes the session.
func (p *presence) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.conn.Close(ctx) // the server ends the session in any case
		p.conn = nil
	}
}

// present reports whether the session exists.
func (p *presence) present() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn != nil
}

// beat checks that the session still exists, opens a new one if it does not, and reads the time of
// the database. It reports whether this worker is the sweeper, and whether it may treat a worker
// without a session as lost.
func (p *presence) beat(ctx context.Context) (sweeps, judges bool, err error) {
	if !p.present() {
		if err := p.connect(ctx); err != nil {
			return false, false, err
		}
		p.w.log.WarnContext(ctx, "presence is back")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, max(p.w.config.Lease/3, time.Second))
	defer cancel()
	asked := time.Now()
	var now time.Time
	sweeps = p.sweeps
	// The lock is taken only once, because a session can hold the same lock several times.
	err = p.conn.QueryRow(within, `SELECT clock_timestamp(), CASE WHEN $1 THEN true ELSE pg_try_advisory_lock($2) END`, sweeps, sweepKey).Scan(&now, &p.sweeps)
	if err != nil {
		_ = p.conn.Close(context.WithoutCancel(within)) // the connection is unusable
		p.conn, p.sweeps, p.again = nil, false, true
		return false, false, fmt.Errorf("presence was lost: %w", err)
	}
	half := time.Since(asked) / 2
	p.w.offset.Store(int64(now.Sub(asked.Add(half))))
	return p.sweeps, !p.again || time.Since(p.since) > p.w.config.Lease, nil
}

// there reports which workers hold their locks.
func (w *Worker) there(ctx context.Context, names []string) (map[string]bool, error) {
	keys := make([]int64, len(names))
	for i, name := range names {
		keys[i] = lockKey("presence", name)
	}
	// pg_locks shows the 64-bit key of an advisory lock as two 32-bit numbers.
	rows, err := w.pool.Query(ctx, `SELECT k.n, EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.classid::bigint = ((k.key >> 32) & 4294967295) AND l.objid::bigint = (k.key & 4294967295))
		FROM unnest($1::bigint[]) WITH ORDINALITY AS k (key, n)`, keys)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	var n int64
	var held bool
	_, err = pgx.ForEachRow(rows, []any{&n, &held}, func() error {
		there[names[n-1]] = held
		return nil
	})
	return there, err
}
