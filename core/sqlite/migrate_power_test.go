package sqlite

import (
	"database/sql"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/fstest"
)

// Power is lost while a database of an older version is brought up to date: it is of the
// old version or of the new one, with all that was in it.
func TestPowerLossWhileMigrating(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	path := filepath.Join(dir, "r.db")
	all, err := fs.Sub(files, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	first := fstest.MapFS{}
	names, err := fs.Glob(all, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names[:1] {
		text, err := fs.ReadFile(all, name)
		if err != nil {
			t.Fatal(err)
		}
		first[name] = &fstest.MapFile{Data: text}
	}
	c, err := newConnector(path, Power)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	insertErr := Migrate(ctx, db, path, first)
	if insertErr == nil {
		_, insertErr = db.ExecContext(ctx, `INSERT INTO runs (tenant, run, pipeline, plan, epoch, status, started) VALUES ('t', 'r', 'p', 1, 1, 1, 1)`)
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
	c.vfs = shimVFS
	db = sql.OpenDB(c)
	if err := errors.Join(Migrate(ctx, db, path, all), db.Close()); err != nil {
		t.Fatal(err)
	}
	n, versions := trials(40), map[int]int{}
	err = f.images(n, chance(0), filepath.Join(dir, "image"), func(image, how string, _ []int) error {
		plain, err := newConnector(image, Power)
		if err != nil {
			return err
		}
		db := sql.OpenDB(plain)
		var verdict string
		var runs, version int
		err = db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM runs), (SELECT user_version FROM pragma_user_version), (SELECT * FROM pragma_integrity_check)`).
			Scan(&runs, &version, &verdict)
		if err := errors.Join(err, db.Close()); err != nil || runs != 1 || verdict != "ok" || version < 1 {
			t.Errorf("%s: %d runs, version %d, %q, %v\n%s", how, runs, version, verdict, err, repeat(t, n))
			return nil
		}
		versions[version]++
		b, err := Open(ctx, image, Power) // and is migrated, or migrated further
		if err != nil {
			t.Errorf("%s: %v\n%s", how, err, repeat(t, n))
			return nil
		}
		return b.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(versions) < 2 {
		t.Errorf("control: the power was never lost in the middle: versions %v", versions)
	}
	t.Logf("%d images: versions %v, none damaged", n, versions)
}
