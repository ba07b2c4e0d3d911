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

// template holds the bytes of a new database of this version. The migrations make them, once per
// process, when they are first needed.
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
	c, err := sqlitedb.NewConnector(path, sqlitedb.Process) // the file does not depend on the durability
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

// removeOldTemplates removes the folders of processes that were killed while they made a template.
// That takes milliseconds; a process that is stopped for a minute meanwhile loses its folder, and
// then opens its database without a template.
func removeOldTemplates(temp string) {
	entries, _ := os.ReadDir(temp) // the folder may be unreadable; then nothing is removed
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), templatePrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Minute {
			_ = os.RemoveAll(filepath.Join(temp, e.Name())) // after an error, the next process tries again
		}
	}
}

// place creates a database at path from the template, which is faster than migrations (see
// BenchmarkOpen), and reports whether it did. It never replaces a file or a link, and does nothing
// next to the log of a lost database, which SQLite would apply to the new one. If place returns
// false, SQLite creates the database, or reports what is wrong.
//
// The file is written under another name and then linked to path, which fails if path exists. So
// it appears complete, and of several processes that do this at the same time one succeeds, and the
// others use its database. An error means that the name of the file may not survive a loss of power,
// which [Power] promises.
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
	folder, err := os.Open(dir) // before the file is created, since the folder may be unreadable
	if err != nil {
		return false, unsyncedName(path, d, err)
	}
	defer folder.Close()
	if err := os.Link(temp, path); err != nil {
		return false, nil
	}
	return true, unsyncedName(path, d, syncFolder(folder))
}

// unsyncedName returns an error if the name of a database may not survive a loss of power although
// the durability promises it. Windows and some file systems cannot sync a folder; SQLite accepts
// that, too.
func unsyncedName(path string, d sqlitedb.Durability, err error) error {
	if err == nil || d != sqlitedb.Power || runtime.GOOS == "windows" || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return fmt.Errorf("make the name of the new database %s durable: %w", path, err)
}

// syncFolder is replaced in tests.
var syncFolder = (*os.File).Sync

// writeSynced writes a new file with the mode that SQLite uses, and syncs it, so that no crash can
// leave a database with part of its pages.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
