package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func openFile(_ context.Context, address string, _ Options) (Store, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host != "" || u.Path == "" {
		return nil, &AddressError{errors.New("use the absolute path of a folder, such as file:///mnt/history")}
	}
	return OpenFolder(filepath.FromSlash(u.Path))
}

// Folder is a store in a folder. The file system must support hard links.
type Folder struct{ path string }

// OpenFolder opens a folder and creates it if it does not exist.
func OpenFolder(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	removeAbandoned(path, time.Now())
	return &Folder{path}, nil
}

// newObject is the prefix of the names of temporary files of Put.
const newObject = ".new-"

// removeAbandoned removes temporary files of killed processes: those that were not written to for an
// hour. It ignores errors, because the next process that opens the folder tries again.
func removeAbandoned(dir string, now time.Time) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), newObject) {
			continue
		}
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Close does nothing.
func (f *Folder) Close() error { return nil }

// Put implements [Store]. It writes a temporary file and then creates a hard link with the
// object's name, which is atomic and fails if the name exists. A rename would overwrite.
func (f *Folder) Put(ctx context.Context, name string, object []byte) (known bool, err error) {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return false, err
	}
	temp, err := os.CreateTemp(f.path, newObject)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.Remove(temp.Name())) }()
	_, err = temp.Write(object)
	if err = errors.Join(err, temp.Sync(), temp.Chmod(0o644), temp.Close()); err != nil {
		return false, err
	}
	err = os.Link(temp.Name(), filepath.Join(f.path, name))
	switch {
	case errors.Is(err, fs.ErrExist):
		return true, nil
	case errors.Is(err, errors.ErrUnsupported):
		return false, fmt.Errorf("%w: use a file system that supports hard links", err)
	}
	return false, err
}

// List implements [Store]. It skips hidden files, the temporary files of Put.
func (f *Folder) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		entries, err := os.ReadDir(f.path)
		if err = errors.Join(ctx.Err(), err); err != nil {
			yield("", err)
			return
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") && !yield(e.Name(), nil) {
				return
			}
		}
	}
}

// Get implements [Store].
func (f *Folder) Get(ctx context.Context, name string) ([]byte, error) {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return nil, err
	}
	path := filepath.Join(f.path, name)
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a named pipe would block
		return nil, &ObjectError{name, errors.New("not a regular file")}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxObject+1))
}

// Delete implements [Store].
func (f *Folder) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(f.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
