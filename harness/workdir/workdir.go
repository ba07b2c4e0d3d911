// Package workdir has the files that the tool keeps on one machine: the folder .flujo of a module,
// temporary folders that are removed even if their process was killed, and files that are replaced
// as a whole.
package workdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ShortPath returns a path for messages: relative to the working folder if it is in that folder.
func ShortPath(path string) string {
	if dir, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return path
}

// Writable returns an error if no file can be created in a folder.
func Writable(dir string) error {
	probe, err := os.CreateTemp(dir, ".flujo-probe-")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// ModuleRoot returns the nearest folder with a go.mod, from dir upwards; "" if there is none.
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

// Scratch makes a folder for the databases of a measurement in root/.flujo. It is on the disk of
// the project, since the system's temporary folder may be in memory.
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

// ownerFile is the name of a file in each temporary folder. The process that made the folder
// holds a lock on it, which the system releases when that process ends, for any reason.
const ownerFile = "owner"

// Temporary makes a folder in base with a name that begins with prefix. First it removes the
// folders with this prefix that killed processes have left, as far as permissions allow. A second
// call of remove does nothing and returns the same error.
func Temporary(base, prefix string) (dir string, remove func() error, err error) {
	entries, _ := os.ReadDir(base) // the folder may be writable even if it cannot be listed
	for _, e := range entries {
		if other := filepath.Join(base, e.Name()); e.IsDir() && strings.HasPrefix(e.Name(), prefix) && Abandoned(other) {
			_ = os.RemoveAll(other) // after an error, the next call tries again
		}
	}
	if dir, err = os.MkdirTemp(base, prefix); err != nil {
		return "", nil, err
	}
	owner, err := own(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, sync.OnceValue(func() error { return errors.Join(owner.Close(), os.RemoveAll(dir)) }), nil
}

// own makes the owner file of a folder and locks it. The file gets its final name after it is
// locked, so that no other process ever finds it unlocked.
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

// Abandoned reports whether the process that made the folder has ended. If that cannot be known,
// a folder older than a day counts as abandoned, since no measurement takes that long.
func Abandoned(dir string) bool {
	owner, err := os.OpenFile(filepath.Join(dir, ownerFile), os.O_RDWR, 0)
	if err != nil {
		info, statErr := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist) && statErr == nil && time.Since(info.ModTime()) > 24*time.Hour
	}
	defer owner.Close()
	return lock(owner)
}

// Folder makes root/.flujo, the folder of a module for files that stay on this machine. A
// .gitignore inside it makes git ignore it, without a change to the module's own files.
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
