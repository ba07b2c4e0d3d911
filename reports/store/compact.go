package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Compacted is the result of [Compact].
type Compacted struct {
	Joined  int     // runs that were moved from objects of their own into packs
	Packs   int     // packs written
	Refused []error // invalid objects, each an [*ObjectError]; they are kept
}

// maxPack is the maximum size of a pack, in bytes before compression, which limits the memory
// needed to read it.
const maxPack = 32 << 20

// Compact combines the objects of runs that started before a time into packs and deletes them.
//
// It writes each pack as a new object and reads it back before it deletes anything. Several
// machines may compact at the same time, and others may push and pull: an object is deleted only
// if a readable pack contains its run, and packs are never deleted. If it is interrupted, some
// runs exist both in a pack and as objects; the next Compact combines the objects again.
func Compact(ctx context.Context, s Store, before time.Time) (done Compacted, err error) {
	var old []string
	limit := before.UTC().Format(timeForm)
	for name, err := range s.List(ctx) {
		if err != nil {
			return done, fmt.Errorf("list the store: %w", err)
		}
		if validName(name) && !IsPack(name) && name[:len(timeForm)] < limit {
			old = append(old, name)
		}
	}
	if len(old) < 2 {
		return done, nil
	}
	runs, size := map[string][]byte{}, 0
	flush := func() error {
		defer clear(runs)
		if len(runs) < 2 {
			return nil
		}
		err := join(ctx, s, runs)
		if err == nil {
			done.Joined, done.Packs = done.Joined+len(runs), done.Packs+1
		}
		return err
	}
	for some := range slices.Chunk(old, atOnce) {
		for o, err := range getAll(ctx, s, some) { // missing objects were combined by another machine
			var content []byte
			if err == nil {
				if _, err = Decode(o.Name, o.Content); err == nil {
					content, err = unpacked(o.Name, o.Content)
				}
			}
			if bad := new(ObjectError); errors.As(err, &bad) {
				done.Refused = append(done.Refused, err)
				continue
			}
			if err != nil {
				return done, fmt.Errorf("read the store: %w", err)
			}
			if size += len(content); size > maxPack {
				if err := flush(); err != nil {
					return done, err
				}
				size = len(content)
			}
			runs[o.Name] = content
		}
	}
	return done, flush()
}

// join writes a pack of runs, checks that it can be read, and deletes the objects of the runs.
func join(ctx context.Context, s Store, runs map[string][]byte) error {
	name, object, err := encodePack(runs)
	if err != nil {
		return err
	}
	if _, err := s.Put(ctx, name, object); err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	back, err := s.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("read back the pack: nothing was deleted: %w", err)
	}
	content, err := unpacked(name, back)
	if err != nil {
		return fmt.Errorf("read back the pack: nothing was deleted: %w", &ObjectError{name, err})
	}
	held := map[string]bool{} // digests of the runs; pulling the pack checks the rest of their names
	for line := range lines(content) {
		sum := sha256.Sum256(line)
		held[hex.EncodeToString(sum[:])] = true
	}
	names := sortedKeys(runs)
	for _, run := range names {
		if !held[run[len(timeForm)+1:]] {
			return fmt.Errorf("pack %s lacks object %s: nothing was deleted", name, run)
		}
	}
	return s.Delete(ctx, names...)
}
