package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob"
	_ "gocloud.dev/blob/gcsblob"
	_ "gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"

	"github.com/flujo/flujo-harness/reports/store"
)

// bucket is a store in a bucket. Writes are conditional: the service rejects a write to an
// existing key.
type bucket struct{ b *blob.Bucket }

func open(ctx context.Context, address string, _ store.Options) (store.Store, error) {
	b, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return nil, &store.AddressError{Err: err}
	}
	return bucket{b}, nil
}

func (s bucket) Close() error { return s.b.Close() }

// tries is the maximum number of attempts for a write that conflicts with another write to the
// same key.
const tries = 5

func (s bucket) Put(ctx context.Context, name string, object []byte) (known bool, err error) {
	if err := store.CheckName(name); err != nil {
		return false, err
	}
	for try := range tries {
		err = s.b.WriteAll(ctx, name, object, &blob.WriterOptions{IfNotExist: true, ContentType: "application/gzip"})
		if err == nil {
			return false, nil
		}
		switch gcerrors.Code(err) {
		case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
			return true, nil
		}
		if there, statErr := s.b.Exists(ctx, name); statErr == nil && there {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Duration(50<<try) * time.Millisecond):
		}
	}
	return false, err
}

func (s bucket) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		all := s.b.List(nil)
		for {
			o, err := all.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield("", err)
				return
			}
			if !o.IsDir && !yield(o.Key, nil) {
				return
			}
		}
	}
}

func (s bucket) Get(ctx context.Context, name string) (content []byte, err error) {
	if err := store.CheckName(name); err != nil {
		return nil, err
	}
	r, err := s.b.NewReader(ctx, name, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, fmt.Errorf("object %s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.Size() > store.MaxObject {
		return nil, &store.ObjectError{Name: name, Err: fmt.Errorf("it has %d bytes, the most that a run may have are %d", r.Size(), store.MaxObject)}
	}
	return io.ReadAll(io.LimitReader(r, store.MaxObject+1))
}

func (s bucket) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := store.CheckName(name); err != nil {
			return err
		}
		if err := s.b.Delete(ctx, name); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return err
		}
	}
	return nil
}
