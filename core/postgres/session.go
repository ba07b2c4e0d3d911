package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// NewPool opens further connections to the database of b, for those who work next to it,
// with the same durability. They may hold rows and transactions for as long as they like.
// Close it.
func (b *Backend) NewPool(ctx context.Context) (*pgxpool.Pool, error) {
	s := *b.server
	s.config = s.config.Copy()
	s.lockWait, s.idle = 0, 0 // no limits
	s.config.AfterConnect = s.ready
	pool, err := pgxpool.NewWithConfig(ctx, s.config)
	return pool, b.trouble(err)
}

// Connect opens a connection to the database of b that is a session of its own. Close it.
func (b *Backend) Connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, b.server.config.ConnConfig.Copy())
	return conn, b.trouble(err)
}
