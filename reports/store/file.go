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
)

// Open opens the store of a URL: file:///mnt/history, a folder that machines share. The
// folder is created where it is missing.
func Open(address string) (Store, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("the address of the store is no URL") // it may hold a password
	case u.Scheme != "file":
		return nil, fmt.Errorf("store %s: there is no such kind of store here: use file:///FOLDER", u.Redacted())
	case u.Host != "" || u.Path == "":
		return nil, fmt.Errorf("store %s: write the absolute path of a folder, as in file:///mnt/history", u.Redacted())
	}
	return OpenFolder(filepath.FromSlash(u.Path))
}

// Folder is a store in a folder of a file system that has hard links.
type Folder struct{ path string }

// OpenFolder opens a folder and creates it where it is missing.
func OpenFolder(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &Folder{path}, nil
}

// Put writes a temporary file, then links it to its name: the link is made whole or not at
// all, and fails where the name is taken.
func (f *Folder) Put(_ context.Context, name string, object []byte) (known bool, err error) {
	if !ValidName(name) {
		return false, &ObjectError{name, errors.New("it has no valid name")}
	}
	temp, err := os.CreateTemp(f.path, ".new-*")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.Remove(temp.Name())) }()
	_, err = temp.Write(object)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return false, err
	}
	err = os.Link(temp.Name(), filepath.Join(f.path, name))
	if errors.Is(err, fs.ErrExist) {
		return true, nil
	}
	return false, err
}

// List leaves out what has no valid name.
func (f *Folder) List(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		entries, err := os.ReadDir(f.path)
		if err != nil {
			yield("", err)
			return
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") || !ValidName(e.Name()) || !e.Type().IsRegular() {
				continue
			}
			if !yield(e.Name(), nil) {
				return
			}
		}
	}
}

// Get reads no more than an object may have.
func (f *Folder) Get(_ context.Context, name string) ([]byte, error) {
	if !ValidName(name) {
		return nil, &ObjectError{name, errors.New("it has no valid name")}
	}
	file, err := os.Open(filepath.Join(f.path, name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxObject+1))
}
