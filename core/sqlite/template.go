package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// template holds the bytes of a new database of this version. They are made by the
// migrations, once a process, when first asked for.
var template struct {
	sync.Mutex
	bytes []byte
}

// templateBytes returns the bytes of a new database. The caller must not change them.
func templateBytes(ctx context.Context, migrations fs.FS) (_ []byte, err error) {
	template.Lock()
	defer template.Unlock()
	if template.bytes != nil {
		return template.bytes, nil
	}
	removeOldTemplates(os.TempDir())
	dir, err := os.MkdirTemp("", templatePrefix)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "new.db")
	c, err := sqlitedb.NewConnector(path, sqlitedb.Process) // durability is no property of the file
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	if err := errors.Join(sqlitedb.Migrate(ctx, db, path, migrations), db.Close()); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the template %s was not closed into one file", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	template.bytes = b
	return b, nil
}

const templatePrefix = "flujo-template-"

// removeOldTemplates removes the folders of processes that were killed while they made a template,
// which takes milliseconds. A process that was stopped for a minute in between finds none and does
// without.
func removeOldTemplates(temp string) {
	entries, _ := os.ReadDir(temp) // it need not be readable
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), templatePrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Minute {
			_ = os.RemoveAll(filepath.Join(temp, e.Name())) // or the next process will
		}
	}
}

// place makes a new database at path from the template: quicker than migrations do, see
// BenchmarkOpen. It reports whether it did. It does so only where nothing is: not over a database, an empty
// file or a link, and not next to a log that a lost database has left, which would be
// taken for the log of the new one. Where it cannot, SQLite makes the database in its
// own time, or says what is wrong.
//
// The file appears whole: it is written under another name and linked, which fails
// where the name is taken. So processes that do this at once end up with the one
// database of whoever was first. An error is that the name of the file may not survive the
// loss of power, which [Power] promises.
func place(ctx context.Context, path string, d sqlitedb.Durability, migrations fs.FS) (bool, error) {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if _, err := os.Lstat(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
	}
	b, err := templateBytes(ctx, migrations)
	if err != nil {
		return false, nil
	}
	dir := filepath.Dir(path)
	temp := filepath.Join(dir, ".flujo-new-"+rand.Text())
	defer os.Remove(temp)
	if err := writeSynced(temp, b); err != nil {
		return false, nil
	}
	folder, err := os.Open(dir) // before the file is there: it may not be readable
	if err != nil {
		return false, unsyncedName(path, d, err)
	}
	defer folder.Close()
	if err := os.Link(temp, path); err != nil {
		return false, nil
	}
	return true, unsyncedName(path, d, syncFolder(folder))
}

// unsyncedName is the error of a database whose name in its folder may not survive the
// loss of power, where that is promised. Windows and some file systems cannot sync a
// folder, and SQLite does not insist there.
func unsyncedName(path string, d sqlitedb.Durability, err error) error {
	if err == nil || d != sqlitedb.Power || runtime.GOOS == "windows" || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return fmt.Errorf("make the name of the new database %s durable: %w", path, err)
}

// syncFolder is replaced in tests.
var syncFolder = (*os.File).Sync

// writeSynced writes a new file, with the mode that SQLite gives to one, and syncs it:
// a database of half its pages would be worse than none.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
