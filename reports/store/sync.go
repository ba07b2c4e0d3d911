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

// Synced is the result of [Sync].
type Synced struct {
	Sent, Taken int     // runs added to the store, and to the history
	Refused     []error // invalid objects, each an [*ObjectError]; they are kept in the store
}

// Sync adds the runs that the history lacks and sends those that the store lacks. It compares
// all names in place of keeping a position up to which the store was read, because a machine may
// send a run long after it started. Sync may be repeated. An invalid object does not stop it.
func Sync(ctx context.Context, h *history.History, s Store) (Synced, error) {
	return NewSyncer(h, s).sync(ctx)
}

// Syncer synchronizes a history with a store in two steps, [Syncer.Pull] and [Syncer.Push]. Push
// reuses the list that Pull made. A Syncer must not be used by several goroutines at once.
type Syncer struct {
	history *history.History
	store   Store
	there   map[string]bool // objects in the store, including those in packs; nil before the first list
}

// NewSyncer returns a syncer. It does not access the store.
func NewSyncer(h *history.History, s Store) *Syncer { return &Syncer{history: h, store: s} }

func (y *Syncer) sync(ctx context.Context) (done Synced, err error) {
	if done.Taken, done.Refused, err = y.Pull(ctx); err != nil {
		return done, err
	}
	done.Sent, err = y.Push(ctx)
	return done, err
}

// atOnce is the number of objects per request. After an interruption, completed requests need
// not be repeated.
const atOnce = 64

// Pull adds the runs that the history lacks. refused are invalid objects, each an
// [*ObjectError].
func (y *Syncer) Pull(ctx context.Context) (taken int, refused []error, err error) {
	known, err := y.history.Objects(ctx)
	if err != nil {
		return 0, nil, err
	}
	tried := map[string]bool{}
	// An object that was listed but no longer exists was combined into a pack, which the next
	// list contains.
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
	return taken, refused, errors.New("read the store: it lists objects that do not exist, or they change while they are read: try again")
}

// takeAll gets objects, adds their runs, and marks the objects that exist in tried.
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

// list returns the names of the objects that the history lacks, and sets y.there.
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
				read = false // the history lost a run of the pack
			}
		}
		if _, is := known[name]; !is && !read {
			wanted = append(wanted, name)
		}
	}
	return wanted, nil
}

// take adds the runs of an object, which is not trusted.
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
	err = decodePack(o.Name, o.Content, func(name string, r reports.Run) error {
		members, y.there[name] = append(members, name), true
		return keep(name, r)
	}, func(bad error) { refused = append(refused, bad) })
	if bad := new(ObjectError); errors.As(err, &bad) {
		return taken, append(refused, err), nil
	}
	if err != nil || len(refused) > 0 { // a pack with invalid runs is reported each time
		return taken, refused, err
	}
	return taken, refused, y.history.KnowPack(ctx, o.Name, members)
}

// Push sends the runs that the store lacks, and returns their number. It lists the store unless
// Pull did.
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
			return fmt.Errorf("send runs to the store: %w", err)
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

// listPacks lists the store and adds the runs of unknown packs, so that they are not sent again.
func (y *Syncer) listPacks(ctx context.Context, known map[string]int64) error {
	wanted, err := y.list(ctx, known)
	if err != nil {
		return err
	}
	wanted = slices.DeleteFunc(wanted, func(name string) bool { return !IsPack(name) })
	_, _, err = y.takeAll(ctx, wanted, known, map[string]bool{}) // Pull reports invalid objects
	return err
}

// toSend returns the IDs of the runs that the store does not have under any of their names. A run
// has several names if versions of this program encoded it differently.
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
