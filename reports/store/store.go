// Package store keeps runs as immutable objects in a place that many machines share, and
// synchronizes a history with it.
//
// An object is one run: its JSON, compressed, without secrets. Its name is the start of the
// run and the digest of the JSON, so that names sort by time, the same run has one name
// wherever it is written, and damage is noticed before anything is decoded.
package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Store keeps objects. Several goroutines and processes may use one at once.
type Store interface {
	// Put keeps an object under a name. It never overwrites: known reports that the name is
	// taken, and the object there stays. After it returns without an error the object can be
	// read whole by everybody.
	Put(ctx context.Context, name string, object []byte) (known bool, err error)

	// List yields the names of all objects in order.
	List(ctx context.Context) iter.Seq2[string, error]

	// Get returns an object. What it returns may come from anybody: see [Decode].
	Get(ctx context.Context, name string) ([]byte, error)
}

// MaxObject and MaxRun bound an object, in bytes, compressed and not.
const (
	MaxObject = 32 << 20
	MaxRun    = 256 << 20
)

var names = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{64}$`)

// ValidName reports whether a name can be that of an object: nothing else is ever opened.
func ValidName(name string) bool { return names.MatchString(name) }

// ObjectError is an object that must not be used.
type ObjectError struct {
	Name string
	Err  error
}

func (e *ObjectError) Error() string { return fmt.Sprintf("object %.100q: %v", e.Name, e.Err) }
func (e *ObjectError) Unwrap() error { return e.Err }

// Encode makes the object of a run. Its secrets are taken out, and its number, which is that
// of one history, is left out.
func Encode(r reports.Run) (name string, object []byte, err error) {
	r = new(history.Censor).Run(r)
	r.ID = 0
	content, err := json.Marshal(r)
	if err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(content)
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		return "", nil, err
	}
	if err := w.Close(); err != nil {
		return "", nil, err
	}
	return r.Started.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(sum[:]), out.Bytes(), nil
}

// Decode reads an object that may be hostile: its name, its size and its digest are checked
// before it is parsed. The error is an [*ObjectError].
func Decode(name string, object []byte) (reports.Run, error) {
	fail := func(err error) (reports.Run, error) { return reports.Run{}, &ObjectError{name, err} }
	if !ValidName(name) {
		return fail(errors.New("it has no valid name"))
	}
	if len(object) > MaxObject {
		return fail(fmt.Errorf("it has %d bytes, more than any run", len(object)))
	}
	in, err := gzip.NewReader(bytes.NewReader(object))
	if err != nil {
		return fail(fmt.Errorf("it is damaged: %w", err))
	}
	content, err := io.ReadAll(io.LimitReader(in, MaxRun+1))
	if err != nil {
		return fail(fmt.Errorf("it is damaged: %w", err))
	}
	if len(content) > MaxRun {
		return fail(fmt.Errorf("it has more than %d bytes uncompressed, more than any run", MaxRun))
	}
	if sum := sha256.Sum256(content); name[len(name)-64:] != hex.EncodeToString(sum[:]) {
		return fail(errors.New("its content is not what its name says: it was damaged or changed"))
	}
	var r reports.Run
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return fail(fmt.Errorf("a newer version of flujo-harness wrote it, or it is no run: %w", err))
	}
	if r.ID = 0; r.Started.UTC().Format("20060102T150405Z") != name[:len("20060102T150405Z")] {
		return fail(errors.New("its name has another time than its run"))
	}
	return r, nil
}

// Synced says what became of the runs of both sides.
type Synced struct {
	Sent, Taken int
	Refused     []error // objects that cannot be used, each an [*ObjectError]: they stay where they are
}

// Sync sends the runs that the store does not have, and takes those that the history does not
// have. It is idempotent, and all names are compared: there is no mark up to which a store was
// read, since a run may be sent late. One bad object does not stop the others.
func Sync(ctx context.Context, h *history.History, s Store) (done Synced, err error) {
	there := map[string]bool{}
	for name, err := range s.List(ctx) {
		if err != nil {
			return done, fmt.Errorf("list the store: %w", err)
		}
		there[name] = true
	}
	here := map[string]bool{}
	err = h.Each(ctx, func(r reports.Run) error {
		name, object, err := Encode(r)
		if err != nil {
			return fmt.Errorf("run %d: %w", r.ID, err)
		}
		here[name] = true
		if there[name] {
			return nil
		}
		known, err := s.Put(ctx, name, object)
		if err != nil {
			return fmt.Errorf("send run %d: %w", r.ID, err)
		}
		if !known {
			done.Sent++
		}
		return nil
	})
	if err != nil {
		return done, err
	}
	for name := range there {
		if here[name] {
			continue
		}
		r, err := take(ctx, s, name)
		if bad := new(ObjectError); errors.As(err, &bad) {
			done.Refused = append(done.Refused, err)
			continue
		}
		if err != nil {
			return done, err
		}
		added, err := h.Append(ctx, r)
		if err != nil {
			return done, err
		}
		if !added.Known {
			done.Taken++
		}
	}
	return done, nil
}

func take(ctx context.Context, s Store, name string) (reports.Run, error) {
	if !ValidName(name) {
		return reports.Run{}, &ObjectError{name, errors.New("it has no valid name")}
	}
	object, err := s.Get(ctx, name)
	if err != nil {
		return reports.Run{}, fmt.Errorf("get %s: %w", name, err)
	}
	return Decode(name, object)
}
