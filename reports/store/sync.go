package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Synced says what became of the runs of both sides.
type Synced struct {
	Sent, Taken int
	Refused     []error // objects that cannot be used, each an [*ObjectError]: they stay where they are
}

// Sync takes the runs that the history does not have, and sends those that the store does not
// have. It is idempotent, and all names are compared: there is no mark up to which a store was
// read, since a run may be sent late. One bad object does not stop the others.
func Sync(ctx context.Context, h *history.History, s Store) (Synced, error) {
	return NewSyncer(h, s).sync(ctx)
}

// Syncer keeps a history and a store equal. Use one for a [Syncer.Pull] and a later
// [Syncer.Push], by one goroutine.
type Syncer struct {
	history *history.History
	store   Store
	there   map[string]bool // objects of the store, also those within packs; nil: not listed yet
}

// NewSyncer returns a syncer. It reads nothing yet.
func NewSyncer(h *history.History, s Store) *Syncer { return &Syncer{history: h, store: s} }

func (y *Syncer) sync(ctx context.Context) (done Synced, err error) {
	if done.Taken, done.Refused, err = y.Pull(ctx); err != nil {
		return done, err
	}
	done.Sent, err = y.Push(ctx)
	return done, err
}

// atOnce is how many objects are sent or asked for in one step: what was done before an
// interruption stays done.
const atOnce = 64

// Pull takes the runs that the history does not have. refused are objects that cannot be used.
func (y *Syncer) Pull(ctx context.Context) (taken int, refused []error, err error) {
	known, err := y.history.Objects(ctx)
	if err != nil {
		return 0, nil, err
	}
	tried := map[string]bool{}
	// Objects that are listed and then gone were joined to a pack meanwhile: the next list has it.
	for range 5 {
		wanted, err := y.list(ctx, known)
		if err != nil {
			return taken, refused, err
		}
		wanted = slices.DeleteFunc(wanted, func(name string) bool { return tried[name] })
		for some := range slices.Chunk(wanted, atOnce) {
			n, bad, err := y.takeAll(ctx, some, known, tried)
			taken, refused = taken+n, append(refused, bad...)
			if err != nil {
				return taken, refused, err
			}
		}
		if !slices.ContainsFunc(wanted, func(name string) bool { return !tried[name] }) {
			return taken, refused, nil
		}
	}
	return taken, refused, errors.New("read the store: it lists objects that it does not have, or they change faster than they can be read: try again")
}

// takeAll gets objects, takes them in, and marks in tried those that were there.
func (y *Syncer) takeAll(ctx context.Context, names []string, known map[string]int64, tried map[string]bool) (taken int, refused []error, err error) {
	for o, err := range getAll(ctx, y.store, names) {
		if bad := new(ObjectError); errors.As(err, &bad) {
			tried[bad.Name] = true
			refused = append(refused, err)
			continue
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return taken, refused, fmt.Errorf("read the store: %w", err)
		}
		tried[o.Name] = true
		n, bad, err := y.take(ctx, o, known)
		taken, refused = taken+n, append(refused, bad...)
		if err != nil {
			return taken, refused, err
		}
	}
	return taken, refused, nil
}

// list returns the names of the objects to take, and fills y.there.
func (y *Syncer) list(ctx context.Context, known map[string]int64) (wanted []string, err error) {
	packs, err := y.history.Packs(ctx)
	if err != nil {
		return nil, err
	}
	y.there = map[string]bool{}
	for name, err := range y.store.List(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list the store: %w", err)
		}
		y.there[name] = true
		members, read := packs[name]
		for _, member := range members {
			y.there[member] = true
			if _, is := known[member]; !is {
				read = false // of a history that lost a part of it
			}
		}
		if _, is := known[name]; !is && !read {
			wanted = append(wanted, name)
		}
	}
	return wanted, nil
}

// take takes in an object that may be hostile.
func (y *Syncer) take(ctx context.Context, o Object, known map[string]int64) (taken int, refused []error, err error) {
	keep := func(name string, r reports.Run) error {
		if _, is := known[name]; is {
			return nil
		}
		added, err := y.history.Append(ctx, r)
		if err != nil && history.OfFile(err) {
			return err
		}
		if err != nil {
			refused = append(refused, &ObjectError{name, err})
			return nil
		}
		if !added.Known {
			taken++
		}
		known[name] = added.ID
		return y.history.KnowObject(ctx, name, added.ID)
	}
	if !IsPack(o.Name) {
		r, err := Decode(o.Name, o.Content)
		if err != nil {
			return 0, []error{err}, nil
		}
		err = keep(o.Name, r)
		return taken, refused, err
	}
	var members []string
	err = DecodePack(o.Name, o.Content, func(name string, r reports.Run) error {
		members, y.there[name] = append(members, name), true
		return keep(name, r)
	}, func(bad error) { refused = append(refused, bad) })
	if bad := new(ObjectError); errors.As(err, &bad) {
		return taken, append(refused, err), nil
	}
	if err != nil || len(refused) > 0 { // a pack with what cannot be used is named each time
		return taken, refused, err
	}
	return taken, refused, y.history.KnowPack(ctx, o.Name, members)
}

// Push sends the runs that the store does not have. It lists the store where Pull has not.
func (y *Syncer) Push(ctx context.Context) (sent int, err error) {
	known, err := y.history.Objects(ctx)
	if err != nil {
		return 0, err
	}
	if y.there == nil {
		if err := y.listPacks(ctx, known); err != nil {
			return 0, err
		}
	}
	var batch []Object
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		created, err := putAll(ctx, y.store, batch)
		if err != nil {
			return fmt.Errorf("send %d runs: %w", len(batch), err)
		}
		for _, o := range batch {
			y.there[o.Name] = true
		}
		sent, batch = sent+len(created), batch[:0]
		return nil
	}
	send := func(id int64) error {
		r, err := y.history.Load(ctx, id)
		if err != nil {
			return err
		}
		name, object, err := Encode(*r)
		if err != nil {
			return fmt.Errorf("run %d: %w", id, err)
		}
		if err := y.history.KnowObject(ctx, name, id); err != nil {
			return err
		}
		if y.there[name] {
			return nil
		}
		if batch = append(batch, Object{name, object}); len(batch) == atOnce {
			return flush()
		}
		return nil
	}
	runs, err := y.toSend(ctx, known)
	if err != nil {
		return 0, err
	}
	for _, id := range runs {
		if err := send(id); err != nil {
			return sent, err
		}
	}
	return sent, flush()
}

// listPacks lists the store and takes in the packs that are not known: their runs are there.
func (y *Syncer) listPacks(ctx context.Context, known map[string]int64) error {
	wanted, err := y.list(ctx, known)
	if err != nil {
		return err
	}
	wanted = slices.DeleteFunc(wanted, func(name string) bool { return !IsPack(name) })
	_, _, err = y.takeAll(ctx, wanted, known, map[string]bool{}) // Pull names what cannot be used
	return err
}

// toSend returns the numbers of the runs that the store has under none of their names: a run may
// have several, as versions of this program encode it.
func (y *Syncer) toSend(ctx context.Context, known map[string]int64) ([]int64, error) {
	runs, err := y.history.WithoutObject(ctx)
	if err != nil {
		return nil, err
	}
	there := map[int64]bool{0: true}
	for name, id := range known {
		there[id] = there[id] || y.there[name]
	}
	for id, is := range there {
		if !is {
			runs = append(runs, id)
		}
	}
	slices.Sort(runs)
	return runs, nil
}
