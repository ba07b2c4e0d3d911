// Package store stores runs as immutable objects that several machines share, and synchronizes
// a history with them.
//
// An object is one run or a pack of several: compressed JSON without secrets. Its name consists
// of the start of the run and the SHA-256 digest of the JSON. Names therefore sort by time, a run
// has the same name on every machine, and damage is detected before anything is decoded. Objects
// are never changed, so concurrent writers cannot overwrite each other.
//
// [Open] opens the store at an address: a folder, a git remote, a bucket, or a kind that another
// package registers, such as reports/store/postgres. [Sync] synchronizes a history with a store,
// and [Compact] combines old objects. Package storetest checks implementations of [Store].
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
)

// Store stores objects by name. Several goroutines and processes may use one at the same time.
//
// Names must satisfy [CheckName]; Put, Get and Delete return its error for other names.
type Store interface {
	// Put stores an object. It never overwrites: known reports that an object with this name
	// exists, which is left unchanged. When Put has returned without an error, all users of the
	// store can read the complete object. After an error the object may or may not be stored,
	// and Put may be repeated.
	Put(ctx context.Context, name string, object []byte) (known bool, err error)

	// List yields the names of all objects once each, in ascending order.
	List(ctx context.Context) iter.Seq2[string, error]

	// Get returns an object, which is not trusted: see [Decode]. The error for a missing object
	// wraps [fs.ErrNotExist]. For an object of more than [MaxObject] bytes, Get returns an
	// [*ObjectError] or the first bytes, at least MaxObject+1.
	Get(ctx context.Context, name string) ([]byte, error)

	// Delete removes objects. A missing object is not an error.
	Delete(ctx context.Context, names ...string) error

	// Close releases resources. It does not remove objects.
	Close() error
}

// Many is a [Store] in which several objects at once cost little more than one.
type Many interface {
	Store

	// PutAll stores objects as Put does. It returns the names of those that did not exist.
	PutAll(ctx context.Context, objects []Object) (created []string, err error)

	// GetAll yields the objects that exist, in any order.
	GetAll(ctx context.Context, names []string) iter.Seq2[Object, error]
}

// Object is an object with its name.
type Object struct {
	Name    string
	Content []byte
}

// ObjectError reports an invalid object.
type ObjectError struct {
	Name string
	Err  error
}

func (e *ObjectError) Error() string { return fmt.Sprintf("object %.100q: %v", e.Name, e.Err) }
func (e *ObjectError) Unwrap() error { return e.Err }

// CheckName returns an [*ObjectError] unless name has the form of an object's name:
// 20060102T150405Z-DIGEST or 20060102T150405Z-DIGEST.pack, with 64 hexadecimal digits.
func CheckName(name string) error {
	if !validName(name) {
		return &ObjectError{name, errors.New("invalid name: written by a newer version, or not a run")}
	}
	return nil
}

// Options are settings that are not part of an address.
type Options struct {
	// Dir is the folder of the git clone whose remotes and credentials are used; "" means the
	// working folder.
	Dir string
}

// Opener opens the store at an address. [Open] removes passwords from its errors.
type Opener func(ctx context.Context, address string, o Options) (Store, error)

// openers holds the kinds of stores by URL scheme.
var openers = map[string]Opener{"file": openFile, "git": openGit}

// usage holds an example of an address for each kind, for messages.
var usage = []string{"git:REMOTE", "file:///FOLDER"}

// Register adds a kind of store. example is the form of its addresses, such as
// "postgres://HOST/DATABASE". Register must be called from an init function.
func Register(scheme, example string, open Opener) {
	openers[scheme] = open
	if !slices.Contains(usage, example) {
		usage = append(usage, example)
	}
}

// Addresses returns the forms of addresses of all kinds, for messages.
func Addresses() string {
	return strings.Join(usage[:len(usage)-1], ", ") + " or " + usage[len(usage)-1]
}

// Open opens the store at an address, such as git:origin or file:///mnt/history. An invalid
// address is an [*AddressError]. Errors of Open and of the store do not contain passwords of the
// address.
func Open(ctx context.Context, address string, o Options) (Store, error) {
	scheme, _, ok := strings.Cut(address, ":")
	open := openers[scheme]
	if !ok || open == nil {
		err := fmt.Errorf("store %s: unknown kind of store: use %s", Shown(address), Addresses())
		return nil, &AddressError{err}
	}
	s, err := open(ctx, address, o)
	if err != nil {
		var wrong *AddressError
		if err = hide(err, secretsOf(address)); errors.As(err, &wrong) {
			return nil, &AddressError{fmt.Errorf("store %s: %w", Shown(address), err)}
		}
		return nil, fmt.Errorf("open store %s: %w", Shown(address), err)
	}
	return &discreet{s, secretsOf(address)}, nil
}

// AddressError reports an invalid address, which is the user's mistake.
type AddressError struct{ Err error }

func (e *AddressError) Error() string { return e.Err.Error() }
func (e *AddressError) Unwrap() error { return e.Err }

// discreet removes passwords of the address from errors. It implements [Many]; for a store that
// does not, it puts and gets the objects one by one.
type discreet struct {
	Store
	secrets []string
}

func (d *discreet) Put(ctx context.Context, name string, object []byte) (bool, error) {
	known, err := d.Store.Put(ctx, name, object)
	return known, hide(err, d.secrets)
}

func (d *discreet) Get(ctx context.Context, name string) ([]byte, error) {
	object, err := d.Store.Get(ctx, name)
	return object, hide(err, d.secrets)
}

func (d *discreet) Delete(ctx context.Context, names ...string) error {
	return hide(d.Store.Delete(ctx, names...), d.secrets)
}

func (d *discreet) Close() error { return hide(d.Store.Close(), d.secrets) }

func (d *discreet) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for name, err := range d.Store.List(ctx) {
			if !yield(name, hide(err, d.secrets)) {
				return
			}
		}
	}
}

func (d *discreet) PutAll(ctx context.Context, objects []Object) ([]string, error) {
	created, err := putAll(ctx, d.Store, objects)
	return created, hide(err, d.secrets)
}

func (d *discreet) GetAll(ctx context.Context, names []string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for o, err := range getAll(ctx, d.Store, names) {
			if !yield(o, hide(err, d.secrets)) {
				return
			}
		}
	}
}

// putAll implements [Many.PutAll] for any store.
func putAll(ctx context.Context, s Store, objects []Object) (created []string, err error) {
	if many, ok := s.(Many); ok {
		return many.PutAll(ctx, objects)
	}
	for _, o := range objects {
		known, err := s.Put(ctx, o.Name, o.Content)
		if err != nil {
			return created, err
		}
		if !known {
			created = append(created, o.Name)
		}
	}
	return created, nil
}

// getAll implements [Many.GetAll] for any store.
func getAll(ctx context.Context, s Store, names []string) iter.Seq2[Object, error] {
	if many, ok := s.(Many); ok {
		return many.GetAll(ctx, names)
	}
	return func(yield func(Object, error) bool) {
		for _, name := range names {
			content, err := s.Get(ctx, name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if !yield(Object{name, content}, err) {
				return
			}
		}
	}
}
