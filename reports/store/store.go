// Package store keeps runs as immutable objects in a place that many machines share, and
// synchronizes a history with it.
//
// An object is one run, or a pack of many: JSON, compressed, without secrets. Its name is the
// start of the run and the digest of the JSON, so that names sort by time, the same run has
// one name wherever it is written, and damage is noticed before anything is decoded. No object
// is ever changed: machines that write at once cannot lose what another one wrote.
//
// [Open] opens the store of an address: a folder or a git remote, and what other packages
// register, such as reports/store/postgres. [Sync] makes a history and a store equal, and
// [Compact] joins old objects. What a store must do is checked by package storetest.
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

// Store keeps objects. Several goroutines and processes may use one at once.
//
// Names are those of [ValidName]; any other is refused by Put and Get, and nothing is written.
type Store interface {
	// Put keeps an object under a name. It never overwrites: known reports that the name is
	// taken, and the object there stays. After it returns without an error everybody can read
	// the object, whole. After an error it may have been kept or not: Put may be repeated.
	Put(ctx context.Context, name string, object []byte) (known bool, err error)

	// List yields the names of all objects, sorted, each once.
	List(ctx context.Context) iter.Seq2[string, error]

	// Get returns an object. Its error is [fs.ErrNotExist] where there is none. What it returns
	// may come from anybody: see [Decode]. Of an object of more than [MaxObject] bytes it
	// returns an [*ObjectError] or the first bytes, more than MaxObject.
	Get(ctx context.Context, name string) ([]byte, error)

	// Delete removes objects. A name that is not there is no error.
	Delete(ctx context.Context, names ...string) error

	// Close releases what was opened. It removes no object.
	Close() error
}

// Many is a [Store] in which many objects at once cost little more than one.
type Many interface {
	Store

	// PutAll is Put for each object. It returns the names that were not taken before.
	PutAll(ctx context.Context, objects []Object) (created []string, err error)

	// GetAll yields the objects of the names that are there, in any order.
	GetAll(ctx context.Context, names []string) iter.Seq2[Object, error]
}

// Object is an object with its name.
type Object struct {
	Name    string
	Content []byte
}

// ObjectError is an object that must not be used.
type ObjectError struct {
	Name string
	Err  error
}

func (e *ObjectError) Error() string { return fmt.Sprintf("object %.100q: %v", e.Name, e.Err) }
func (e *ObjectError) Unwrap() error { return e.Err }

// CheckName returns an [*ObjectError] for a name that no object can have.
func CheckName(name string) error {
	if !ValidName(name) {
		return &ObjectError{name, errors.New("it has no valid name: a newer version wrote it, or it is no run")}
	}
	return nil
}

// Options are what an address does not say.
type Options struct {
	// Dir is the folder of the clone whose remotes and credentials are used; "": the working
	// folder.
	Dir string
}

// Opener opens the store of an address. Passwords in its errors are hidden by [Open].
type Opener func(ctx context.Context, address string, o Options) (Store, error)

// openers are the kinds of stores by the scheme of their address.
var openers = map[string]Opener{"file": openFile, "git": openGit}

// usage is how the addresses of each kind look, for messages.
var usage = []string{"git:REMOTE", "file:///FOLDER"}

// Register adds a kind of stores. example is how an address looks: "postgres://HOST/DATABASE".
// Call it from an init function.
func Register(scheme, example string, open Opener) {
	openers[scheme] = open
	if !slices.Contains(usage, example) {
		usage = append(usage, example)
	}
}

// Addresses are how the addresses of stores look, for messages.
func Addresses() string {
	return strings.Join(usage[:len(usage)-1], ", ") + " or " + usage[len(usage)-1]
}

// Open opens the store of an address: git:origin, file:///mnt/history. No error of it, or of
// the store, holds a password of the address.
func Open(ctx context.Context, address string, o Options) (Store, error) {
	scheme, _, ok := strings.Cut(address, ":")
	open := openers[scheme]
	if !ok || open == nil {
		err := fmt.Errorf("store %s: this program knows no such kind of store: use %s", Shown(address), Addresses())
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

// AddressError is an address that cannot be one of a store: the user's mistake.
type AddressError struct{ Err error }

func (e *AddressError) Error() string { return e.Err.Error() }
func (e *AddressError) Unwrap() error { return e.Err }

// discreet hides the passwords of the address in errors. It is a [Many], too: of a store that
// is none it puts and gets one object after the other.
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

// putAll is [Many.PutAll] of any store.
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

// getAll is [Many.GetAll] of any store.
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
