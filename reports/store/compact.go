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

// Compacted says what became of the objects of a store.
type Compacted struct {
	Joined  int     // objects of single runs that are in packs now
	Packs   int     // that hold them
	Refused []error // objects that cannot be used, each an [*ObjectError]: they stay where they are
}

// maxPack bounds a pack, in bytes before compression, so that it can be read with little memory.
const maxPack = 32 << 20

// Compact joins the objects of runs that started before a time to packs, and deletes them.
//
// A pack is a new object, written before anything is deleted, and read back. Several machines may
// compact at once, and others may send and take runs meanwhile: an object is deleted only where a
// pack that can be read holds it, and packs are not deleted. Interrupted, it leaves runs twice,
// which the next Compact mends.
func Compact(ctx context.Context, s Store, before time.Time) (done Compacted, err error) {
	var old []string
	limit := before.UTC().Format(timeForm)
	for name, err := range s.List(ctx) {
		if err != nil {
			return done, fmt.Errorf("list the store: %w", err)
		}
		if ValidName(name) && !IsPack(name) && name[:len(timeForm)] < limit {
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
		for o, err := range getAll(ctx, s, some) { // what is gone, another one has joined
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

// join writes a pack of runs, proves that it can be read, and deletes the objects of the runs.
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
		return fmt.Errorf("read the pack that was written: nothing was deleted: %w", err)
	}
	content, err := unpacked(name, back)
	if err != nil {
		return fmt.Errorf("read the pack that was written: nothing was deleted: %w", &ObjectError{name, err})
	}
	held := map[string]bool{} // by digest: the rest of a name is checked when a pack is taken
	for line := range lines(content) {
		sum := sha256.Sum256(line)
		held[hex.EncodeToString(sum[:])] = true
	}
	names := sortedKeys(runs)
	for _, run := range names {
		if !held[run[len(timeForm)+1:]] {
			return fmt.Errorf("the pack %s does not hold object %s: nothing was deleted", name, run)
		}
	}
	return s.Delete(ctx, names...)
}
