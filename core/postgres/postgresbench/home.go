package postgresbench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Names of schemas consist of the prefix schemas, the random name of a home, and the hash of a
// place. Both are hexadecimal.
const (
	schemas    = "flujo_bench_"
	homeDigits = 12
)

// home manages the schemas of this process at one address. Its connection holds an advisory lock
// for the life of the process, which shows other processes that the schemas are in use.
type home struct {
	address string

	mu   sync.Mutex
	conn *pgx.Conn
	name string // schemas and random digits
}

var homes struct {
	sync.Mutex
	by map[string]*home
}

func homeAt(address string) *home {
	homes.Lock()
	defer homes.Unlock()
	h := homes.by[address]
	if h == nil {
		if homes.by == nil {
			homes.by = map[string]*home{}
		}
		h = &home{address: address}
		homes.by[address] = h
	}
	return h
}

// lockKey returns the key of the advisory lock of a home.
func lockKey(name string) int64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return int64(h.Sum64())
}

// with calls do with the connection of the home, and opens it first if necessary.
func (h *home) with(ctx context.Context, do func(*pgx.Conn) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != nil && h.conn.IsClosed() {
		return errors.New("the connection that locks the measured schemas was lost: measure again")
	}
	if h.conn == nil {
		conn, err := pgx.Connect(ctx, h.address)
		if err != nil {
			return fmt.Errorf("connect to the server of the backend: %w", err)
		}
		random := make([]byte, homeDigits/2)
		if _, err := rand.Read(random); err != nil {
			return err
		}
		h.name = schemas + hex.EncodeToString(random)
		_, err = conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, lockKey(h.name))
		if err == nil {
			err = dropAbandoned(ctx, conn)
		}
		if err != nil {
			return errors.Join(err, conn.Close(ctx))
		}
		h.conn = conn
	}
	return do(h.conn)
}

// dropAbandoned drops the schemas of processes that have ended.
func dropAbandoned(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT nspname FROM pg_catalog.pg_namespace WHERE starts_with(nspname, $1)`, schemas)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, schema := range names {
		if len(schema) < len(schemas)+homeDigits {
			continue // not created by this package
		}
		key := lockKey(schema[:len(schemas)+homeDigits])
		var free bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, key).Scan(&free); err != nil {
			return err
		}
		if !free {
			continue
		}
		_, err := conn.Exec(ctx, `DROP SCHEMA IF EXISTS `+pgx.Identifier{schema}.Sanitize()+` CASCADE`)
		_, unlockErr := conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, key)
		if err := errors.Join(err, unlockErr); err != nil {
			return fmt.Errorf("drop the schema %s of a process that has ended: %w", schema, err)
		}
	}
	return nil
}

// schema returns the name of the schema of a place.
func (h *home) schema(ctx context.Context, place string) (name string, err error) {
	err = h.with(ctx, func(*pgx.Conn) error {
		sum := fnv.New64a()
		sum.Write([]byte(place))
		name = fmt.Sprintf("%s_%016x", h.name, sum.Sum64())
		return nil
	})
	return name, err
}

// drop drops a schema with everything in it.
func (h *home) drop(schema string) error {
	ctx := context.Background()
	return h.with(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `DROP SCHEMA IF EXISTS `+pgx.Identifier{schema}.Sanitize()+` CASCADE`)
		return err
	})
}
