package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// NewPool opens further connections to the database of b with the same durability, for other work
// such as a queue. There is no limit on how long they hold locks and transactions. The caller closes
// the pool.
func (b *Backend) NewPool(ctx context.Context) (*pgxpool.Pool, error) {
	s := *b.server
	s.config = s.config.Copy()
	s.lockWait, s.idle = 0, 0 // no limits
	s.config.AfterConnect = s.ready
	pool, err := pgxpool.NewWithConfig(ctx, s.config)
	return pool, b.trouble(err)
}

// Connect opens one more connection to the database of b. The caller closes it.
func (b *Backend) Connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, b.server.config.ConnConfig.Copy())
	return conn, b.trouble(err)
}

// ReadDurability reads the durability back from every connection of the backend that is not in use,
// because settings can change while a connection is open. It is an error if it is not the durability
// that the backend was opened with.
func (b *Backend) ReadDurability(ctx context.Context) (Durability, error) {
	conns := b.pool.AcquireAllIdle(ctx)
	if len(conns) == 0 {
		conn, err := b.pool.Acquire(ctx)
		if err != nil {
			return "", b.trouble(err)
		}
		conns = append(conns, conn)
	}
	var errs []error
	for _, conn := range conns {
		errs = append(errs, b.server.check(ctx, conn.Conn()))
		conn.Release()
	}
	if err := errors.Join(errs...); err != nil {
		return "", b.trouble(err)
	}
	return b.server.durability, nil
}
