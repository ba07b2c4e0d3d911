package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ShortPath writes a path below the working folder relative to it, for messages.
func ShortPath(path string) string {
	if dir, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return path
}

// Writable returns an error where no file can be made in a folder.
func Writable(dir string) error {
	probe, err := os.CreateTemp(dir, ".flujo-probe-")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// ModuleRoot is the folder of the go.mod of a folder; "" where there is none.
func ModuleRoot(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// Scratch makes a folder for databases under measurement in root/.flujo: on the disk
// of the project, and not in a temporary folder that may be memory.
func Scratch(root string) (dir string, remove func() error, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make a folder to measure in: %w", err)
		}
	}()
	base, err := Folder(root)
	if err != nil {
		return "", nil, err
	}
	return Temporary(base, "measure-")
}

// ownerFile is in each temporary folder. The process that made the folder holds a lock on
// it, which the system releases however that process ends.
const ownerFile = "owner"

// Temporary makes a folder in base, whose name begins with prefix. Folders of this prefix
// that killed processes have left behind are removed first, as far as this user may.
func Temporary(base, prefix string) (dir string, remove func() error, err error) {
	entries, _ := os.ReadDir(base) // a folder that may not be listed may be written to
	for _, e := range entries {
		if other := filepath.Join(base, e.Name()); e.IsDir() && strings.HasPrefix(e.Name(), prefix) && Abandoned(other) {
			_ = os.RemoveAll(other) // or the next one will
		}
	}
	if dir, err = os.MkdirTemp(base, prefix); err != nil {
		return "", nil, err
	}
	owner, err := own(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(owner.Close(), os.RemoveAll(dir)) }, nil
}

// own takes the lock of a folder. The file gets its name when it is locked: nobody finds it
// without.
func own(dir string) (*os.File, error) {
	owner, err := os.CreateTemp(dir, ownerFile+"-")
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintln(owner, "process", os.Getpid()); err != nil {
		return nil, errors.Join(err, owner.Close())
	}
	if !lock(owner) {
		return owner, nil // a file system without locks: the folder is removed by its age
	}
	if err := os.Rename(owner.Name(), filepath.Join(dir, ownerFile)); err != nil {
		return nil, errors.Join(err, owner.Close())
	}
	return owner, nil
}

// Abandoned reports whether the process that made the folder has ended. Where that cannot be
// told, a folder is taken for abandoned after a day: nothing that is measured takes so long.
func Abandoned(dir string) bool {
	owner, err := os.OpenFile(filepath.Join(dir, ownerFile), os.O_RDWR, 0)
	if err != nil {
		info, statErr := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist) && statErr == nil && time.Since(info.ModTime()) > 24*time.Hour
	}
	defer owner.Close()
	return lock(owner)
}

// Folder makes the folder of a module for all that is kept on this machine only. Git
// does not see it, in a project that has not heard of us either.
func Folder(root string) (string, error) {
	base := filepath.Join(root, ".flujo")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", err
	}
	ignore := filepath.Join(base, ".gitignore")
	if _, err := os.Stat(ignore); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(ignore, []byte("*\n"), 0o644); err != nil {
			return "", err
		}
	}
	return base, nil
}
