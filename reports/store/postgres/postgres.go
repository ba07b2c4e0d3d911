// Package postgres stores the objects of package store in one table of a PostgreSQL database:
//
//	postgres://USER:PASSWORD@HOST/DATABASE?repository=shop
//
// The table may contain the histories of several repositories; the setting repository selects one.
// Import the package to register the scheme with [store.Open].
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/reports/store"
)

func init() {
	for _, scheme := range []string{"postgres", "postgresql"} {
		store.Register(scheme, "postgres://HOST/DATABASE", func(ctx context.Context, address string, _ store.Options) (store.Store, error) {
			return Open(ctx, address)
		})
	}
}

// table creates the table. The collation "C" sorts names by their bytes, as [store.Store] requires.
const table = `CREATE TABLE IF NOT EXISTS flujo_runs (
	repository text COLLATE "C" NOT NULL,
	name       text COLLATE "C" NOT NULL,
	object     bytea NOT NULL,
	kept       timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (repository, name))`

// Store is a [store.Many] in a table.
type Store struct {
	pool       *pgxpool.Pool
	repository string
}

// Open opens the store at a postgres:// address and creates the table if it does not exist. Its errors
// may contain the password; those of [store.Open] do not.
func Open(ctx context.Context, address string) (*Store, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, &store.AddressError{Err: errors.New("this is not an address: a password with special characters must be percent-encoded")}
	}
	settings := u.Query()
	s := &Store{repository: settings.Get("repository")}
	settings.Del("repository")
	u.RawQuery = settings.Encode()
	config, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		return nil, &store.AddressError{Err: err}
	}
	config.MaxConns, config.MinConns = 2, 0 // many jobs share the server
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	config.ConnConfig.RuntimeParams["application_name"] = "flujo-harness"
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "on" // Put returns when the row is durable, whatever the setting of the server
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if err := s.create(ctx); err != nil {
		s.pool.Close()
		return nil, err
	}
	return s, nil
}

// create creates the table. It checks first whether the table exists, so that a user without the right
// to create tables can open the store.
func (s *Store) create(ctx context.Context) error {
	return s.try(ctx, func() error {
		var there bool
		if err := s.pool.QueryRow(ctx, "SELECT to_regclass('flujo_runs') IS NOT NULL").Scan(&there); err != nil || there {
			return err
		}
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			// IF NOT EXISTS alone fails if two sessions create the table at the same time.
			if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(7379535710)"); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, table)
			return err
		})
	})
}

// try calls do again after errors that mean that nothing was done: no free connection (53300), the
// server is starting (57P03), a deadlock (40P01) or a serialization failure (40001). It waits 20 ms and
// then twice as long each time, 5 s altogether. The codes are in appendix A of PostgreSQL's
// documentation.
func (s *Store) try(ctx context.Context, do func() error) error {
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		err := do()
		var refused *pgconn.PgError
		if err == nil || !errors.As(err, &refused) || !slices.Contains([]string{"53300", "57P03", "40P01", "40001"}, refused.Code) || pause > 5*time.Second {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
	}
}

// Close closes the connections.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// Put inserts a row unless it exists.
func (s *Store) Put(ctx context.Context, name string, object []byte) (known bool, err error) {
	created, err := s.PutAll(ctx, []store.Object{{Name: name, Content: object}})
	return len(created) == 0, err
}

// PutAll inserts 64 rows per statement.
func (s *Store) PutAll(ctx context.Context, objects []store.Object) (created []string, err error) {
	for _, o := range objects {
		if err := store.CheckName(o.Name); err != nil {
			return nil, err
		}
	}
	// Concurrent statements that insert the same rows in the same order cannot deadlock.
	objects = slices.SortedFunc(slices.Values(objects), func(a, b store.Object) int { return strings.Compare(a.Name, b.Name) })
	for some := range slices.Chunk(objects, atOnce) {
		var names []string
		var contents [][]byte
		for _, o := range some {
			names, contents = append(names, o.Name), append(contents, notNil(o.Content))
		}
		var done []string
		err := s.try(ctx, func() (err error) {
			done, err = s.names(ctx, `INSERT INTO flujo_runs (repository, name, object)
				SELECT $1, * FROM unnest($2::text[], $3::bytea[]) ON CONFLICT DO NOTHING RETURNING name`, s.repository, names, contents)
			return err
		})
		if err != nil {
			return created, err
		}
		created = append(created, done...)
	}
	return created, nil
}

const atOnce = 64

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (s *Store) names(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// List reads all names.
func (s *Store) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var all []string
		err := s.try(ctx, func() (err error) {
			all, err = s.names(ctx, "SELECT name FROM flujo_runs WHERE repository = $1 ORDER BY name", s.repository)
			return err
		})
		if err != nil {
			yield("", err)
			return
		}
		for _, name := range all {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// Get reads one row.
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	for o, err := range s.GetAll(ctx, []string{name}) {
		return o.Content, err
	}
	return nil, fmt.Errorf("object %s: %w", name, fs.ErrNotExist)
}

// GetAll reads 16 rows per statement. The server does not send content of more than store.MaxObject
// bytes; such an object is a [*store.ObjectError].
func (s *Store) GetAll(ctx context.Context, names []string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		var valid []string
		for _, name := range names {
			if err := store.CheckName(name); err == nil {
				valid = append(valid, name)
			} else if !yield(store.Object{Name: name}, err) {
				return
			}
		}
		for some := range slices.Chunk(valid, 16) {
			rows, err := s.read(ctx, some)
			if err != nil {
				yield(store.Object{}, err)
				return
			}
			for _, r := range rows {
				var err error
				if r.Content == nil {
					err = &store.ObjectError{Name: r.Name, Err: fmt.Errorf("more than the maximum of %d bytes", store.MaxObject)}
				}
				if !yield(r, err) {
					return
				}
			}
		}
	}
}

func (s *Store) read(ctx context.Context, names []string) (objects []store.Object, err error) {
	err = s.try(ctx, func() error {
		rows, err := s.pool.Query(ctx, `SELECT name, CASE WHEN octet_length(object) <= $3 THEN object END
			FROM flujo_runs WHERE repository = $1 AND name = ANY ($2)`, s.repository, names, store.MaxObject)
		if err != nil {
			return err
		}
		objects, err = pgx.CollectRows(rows, pgx.RowToStructByPos[store.Object])
		return err
	})
	return objects, err
}

// Delete deletes the rows.
func (s *Store) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := store.CheckName(name); err != nil {
			return err
		}
	}
	return s.try(ctx, func() error {
		_, err := s.pool.Exec(ctx, "DELETE FROM flujo_runs WHERE repository = $1 AND name = ANY ($2)", s.repository, names)
		return err
	})
}
