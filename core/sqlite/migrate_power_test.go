package sqlite

import (
	"database/sql"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// Power is lost during the migration of a database of an older version. The result has either the
// old or the new version, with all its data.
func TestPowerLossWhileMigrating(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	path := filepath.Join(dir, "r.db")
	schema, err := fs.ReadFile(files, "migrations/0001_runs.sql")
	if err != nil {
		t.Fatal(err)
	}
	first := fstest.MapFS{"0001.sql": &fstest.MapFile{Data: schema}}
	all := fstest.MapFS{"0001.sql": first["0001.sql"], "0002.sql": &fstest.MapFile{Data: []byte("ALTER TABLE runs ADD COLUMN more TEXT; CREATE TABLE more (x)")}}
	c, err := sqlitedb.NewConnector(path, sqlitedb.Power)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	insertErr := sqlitedb.Migrate(ctx, db, path, first)
	if insertErr == nil {
		_, insertErr = db.ExecContext(ctx, `INSERT INTO runs (tenant, run, pipeline, plan, epoch, status, started, sum, executor, until, held) VALUES ('t', 'r', 'p', 1, 1, 1, 1, 1, '', 0, 0)`)
	}
	if err := errors.Join(insertErr, db.Close(), registerShim()); err != nil {
		t.Fatal(err)
	}
	f, err := newFilm(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	taps.Store(path, tap(f.tap))
	defer taps.Delete(path)
	c.Vfs = shimVFS
	db = sql.OpenDB(c)
	if err := errors.Join(sqlitedb.Migrate(ctx, db, path, all), db.Close()); err != nil {
		t.Fatal(err)
	}
	n, versions := trials(40), map[int]int{}
	err = f.images(n, chance(0), filepath.Join(dir, "image"), func(image, how string, _ []int) error {
		plain, err := sqlitedb.NewConnector(image, sqlitedb.Power)
		if err != nil {
			return err
		}
		db := sql.OpenDB(plain)
		var verdict string
		var runs, version int
		err = db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM runs), (SELECT user_version FROM pragma_user_version), (SELECT * FROM pragma_integrity_check)`).
			Scan(&runs, &version, &verdict)
		if err == nil {
			err = sqlitedb.Migrate(ctx, db, image, all) // repeats or continues the migration
		}
		if err := errors.Join(err, db.Close()); err != nil || runs != 1 || verdict != "ok" || version < 1 {
			t.Errorf("%s: %d runs, version %d, %q, %v\n%s", how, runs, version, verdict, err, repeat(t, n))
			return nil
		}
		versions[version]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(versions) < 2 {
		t.Errorf("control: the power was never lost in the middle: versions %v", versions)
	}
	t.Logf("%d images: versions %v, none damaged", n, versions)
}
