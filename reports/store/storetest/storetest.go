// Package storetest tests implementations of [store.Store]. [Test] checks that a store does what the
// interface requires. [Jobs] sends runs from many histories at the same time and counts lost ones.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/flujo/flujo-harness/reports/store"
)

// Test returns an error if a store does not do what [store.Store] requires. open opens the store as
// another machine would: all calls open the same store, which must be empty. Afterwards it is empty
// again. Test detects a store that overwrites, loses, truncates or confuses objects, does not share
// them with other machines, misreports whether a name existed, or lists missing objects.
func Test(ctx context.Context, open func(context.Context) (store.Store, error)) (err error) {
	t := &test{ctx: ctx}
	for range 3 {
		s, err := open(ctx)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		t.machines = append(t.machines, s)
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"an empty store", t.empty},
		{"one object", t.one},
		{"an existing name", t.taken},
		{"an invalid name", t.invalid},
		{"objects of all sizes", t.sizes},
		{"many objects in one call", t.batch},
		{"concurrent puts of one name", t.rivals},
		{"reading while others write", t.readers},
		{"deleted objects", t.deleted},
		{"a cancelled context", t.ended},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

type test struct {
	ctx      context.Context
	machines []store.Store
	kept     []store.Object // all objects that the store must contain
	made     int            // number of objects that were made
}

// object makes an object of n bytes with a new name. The names are in descending order, so that a
// store that lists objects in the order of Put fails.
func (t *test) object(n int) store.Object {
	t.made++
	random := rand.New(rand.NewPCG(uint64(t.made), uint64(n)))
	content := make([]byte, n)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	return store.Object{Name: fmt.Sprintf("20261123T%06dZ-%064x", 235959-t.made, t.made), Content: content}
}

// put puts a new object by machine m. From then on the store must contain it.
func (t *test) put(m int, o store.Object) error {
	known, err := t.machines[m].Put(t.ctx, o.Name, o.Content)
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if known {
		return errors.New("put reports a new object as known")
	}
	t.kept = append(t.kept, o)
	return nil
}

// all checks that every machine lists and gets the objects that the store must contain, and no others.
func (t *test) all() error {
	slices.SortFunc(t.kept, func(a, b store.Object) int { return strings.Compare(a.Name, b.Name) })
	var want []string
	for _, o := range t.kept {
		want = append(want, o.Name)
	}
	for m, s := range t.machines {
		names, err := listed(t.ctx, s)
		if err != nil {
			return err
		}
		if !slices.Equal(names, want) {
			return fmt.Errorf("machine %d lists %s, want %s", m, abridged(names), abridged(want))
		}
		many, ok := s.(store.Many)
		for i, o := range t.kept {
			if ok && i != m*len(t.kept)/3 { // the others are compared below
				continue
			}
			if err := t.holds(s, o); err != nil {
				return fmt.Errorf("machine %d: %w", m, err)
			}
		}
		if !ok {
			continue
		}
		got := map[string][]byte{}
		absent := t.object(0).Name
		for o, err := range many.GetAll(t.ctx, append(slices.Clone(want), absent)) {
			if err != nil {
				return fmt.Errorf("machine %d: get all: %w", m, err)
			}
			got[o.Name] = o.Content
		}
		for _, o := range t.kept {
			if !bytes.Equal(got[o.Name], o.Content) {
				return fmt.Errorf("machine %d: get all: object %s has other content", m, o.Name)
			}
		}
		if len(got) != len(want) {
			return fmt.Errorf("machine %d: get all: %d objects, want %d", m, len(got), len(want))
		}
	}
	return nil
}

func (t *test) holds(s store.Store, o store.Object) error {
	content, err := s.Get(t.ctx, o.Name)
	if err != nil {
		return fmt.Errorf("get %s: %w", o.Name, err)
	}
	if !bytes.Equal(content, o.Content) {
		return fmt.Errorf("object %s has %d bytes of other content, want those %d that were put first", o.Name, len(content), len(o.Content))
	}
	return nil
}

func listed(ctx context.Context, s store.Store) (names []string, err error) {
	for name, err := range s.List(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		names = append(names, name)
	}
	return names, nil
}

func abridged(names []string) string {
	if len(names) <= 3 {
		return fmt.Sprint(names)
	}
	return fmt.Sprintf("%d objects, the first %s", len(names), names[0])
}

func (t *test) empty() error {
	if err := t.all(); err != nil {
		return err
	}
	if _, err := t.machines[0].Get(t.ctx, t.object(0).Name); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("get a missing object: %v, want an error that wraps fs.ErrNotExist", err)
	}
	return nil
}

func (t *test) one() error {
	if err := t.put(0, t.object(100)); err != nil {
		return err
	}
	return t.all()
}

// taken tries to replace an object by a shorter one, a longer one, a part of it, the same, and an empty
// one.
func (t *test) taken() error {
	o := t.kept[0]
	contents := [][]byte{[]byte("another"), bytes.Repeat([]byte("more"), 1000), o.Content[:10], o.Content, nil}
	for m, s := range t.machines {
		for _, content := range contents[m*2 : min(len(contents), m*2+2)] {
			known, err := s.Put(t.ctx, o.Name, content)
			if err != nil {
				return fmt.Errorf("put: %w", err)
			}
			if !known {
				return fmt.Errorf("machine %d reports an existing name as new", m)
			}
			if err := t.holds(t.machines[0], o); err != nil {
				return err
			}
		}
	}
	return t.all()
}

func (t *test) invalid() error {
	good := t.object(0).Name
	for _, name := range []string{"", "run", "../" + good, good + "/x", "20261123T120000Z-" + strings.Repeat("F", 64), good[:len(good)-1], good + "\n", good + ".tmp"} {
		if _, err := t.machines[0].Put(t.ctx, name, []byte("x")); err == nil {
			return fmt.Errorf("put accepts the name %q", name)
		}
		if _, err := t.machines[0].Get(t.ctx, name); err == nil {
			return fmt.Errorf("get accepts the name %q", name)
		}
	}
	return t.all()
}

func (t *test) sizes() error {
	for i, n := range []int{1, 63, 4096, 70_001, 3 << 20} {
		if err := t.put(i%len(t.machines), t.object(n)); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
	}
	pack := t.object(5000)
	pack.Name += ".pack"
	if err := t.put(1, pack); err != nil {
		return err
	}
	return t.all()
}

// batch puts several objects, one of which exists.
func (t *test) batch() error {
	many, ok := t.machines[0].(store.Many)
	if !ok {
		return nil
	}
	taken := t.kept[len(t.kept)/2]
	objects := []store.Object{{Name: taken.Name, Content: []byte("another")}}
	var want []string
	for range 120 {
		o := t.object(300)
		objects, want = append(objects, o), append(want, o.Name)
	}
	created, err := many.PutAll(t.ctx, objects)
	if err != nil {
		return err
	}
	slices.Sort(created)
	slices.Sort(want)
	if !slices.Equal(created, want) {
		return fmt.Errorf("put all reports %s as new, want %s", abridged(created), abridged(want))
	}
	t.kept = append(t.kept, objects[1:]...)
	return t.all()
}

// rivals puts different content under one name from several goroutines: exactly one must succeed, and
// its content must stay.
func (t *test) rivals() error {
	for range 2 {
		const rivals = 6
		o := t.object(2000)
		var wait sync.WaitGroup
		known, errs := make([]bool, rivals), make([]error, rivals)
		contents := make([][]byte, rivals)
		for i := range rivals {
			contents[i] = append(slices.Clone(o.Content), byte(i))
			wait.Go(func() { known[i], errs[i] = t.machines[i%len(t.machines)].Put(t.ctx, o.Name, contents[i]) })
		}
		wait.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		winner := slices.Index(known, false)
		if winner < 0 || slices.Contains(known[winner+1:], false) {
			return fmt.Errorf("of %d concurrent puts not exactly one reports a new object: known is %v", rivals, known)
		}
		o.Content = contents[winner]
		t.kept = append(t.kept, o)
	}
	return t.all()
}

// readers gets each object as soon as it is listed, while other machines write: it must be complete.
func (t *test) readers() error {
	const writers, each = 2, 4
	objects := make([][]store.Object, writers)
	want := map[string][]byte{}
	for _, o := range t.kept {
		want[o.Name] = o.Content
	}
	for w := range writers {
		for range each {
			o := t.object(50_000)
			objects[w], want[o.Name] = append(objects[w], o), o.Content
		}
	}
	var writing sync.WaitGroup
	errs := make([]error, writers+1)
	for w := range writers {
		writing.Go(func() {
			for _, o := range objects[w] {
				known, err := t.machines[w].Put(t.ctx, o.Name, o.Content)
				if err == nil && known {
					err = errors.New("put reports a new object as known")
				}
				if errs[w] = err; err != nil {
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	reader := t.machines[2]
	seen := map[string]bool{}
	for _, o := range t.kept {
		seen[o.Name] = true
	}
	for over := false; !over; {
		select {
		case <-done:
			over = true // list once more after the last put
		default:
		}
		names, err := listed(t.ctx, reader)
		if err != nil {
			errs[writers] = err
			break
		}
		for _, name := range names {
			if !seen[name] {
				seen[name] = true
				errs[writers] = errors.Join(errs[writers], t.holds(reader, store.Object{Name: name, Content: want[name]}))
			}
		}
	}
	<-done
	if err := errors.Join(errs...); err != nil {
		return err
	}
	t.kept = append(t.kept, slices.Concat(objects...)...)
	return t.all()
}

func (t *test) deleted() error {
	slices.SortFunc(t.kept, func(a, b store.Object) int { return strings.Compare(a.Name, b.Name) })
	gone := []store.Object{t.kept[0], t.kept[len(t.kept)/2], t.kept[len(t.kept)-1]}
	var names []string
	for _, o := range gone {
		names = append(names, o.Name)
	}
	t.kept = slices.DeleteFunc(t.kept, func(o store.Object) bool { return slices.Contains(names, o.Name) })
	absent := t.object(0).Name
	for m, s := range t.machines { // the second and third machine delete missing objects
		if err := s.Delete(t.ctx, append(slices.Clone(names), absent)...); err != nil {
			return fmt.Errorf("machine %d: delete: %w", m, err)
		}
		if err := t.all(); err != nil {
			return err
		}
	}
	for m, s := range t.machines {
		if _, err := s.Get(t.ctx, names[1]); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("machine %d gets a deleted object: %v, want an error that wraps fs.ErrNotExist", m, err)
		}
	}
	again := store.Object{Name: names[1], Content: []byte("again")}
	if err := t.put(1, again); err != nil {
		return fmt.Errorf("a name that was deleted: %w", err)
	}
	if err := t.all(); err != nil {
		return err
	}
	names = nil
	for _, o := range t.kept {
		names = append(names, o.Name)
	}
	t.kept = nil
	if err := t.machines[2].Delete(t.ctx, names...); err != nil {
		return fmt.Errorf("delete all: %w", err)
	}
	return t.all()
}

// ended calls the store with a cancelled context, which must be an error and change nothing.
func (t *test) ended() error {
	ctx, end := context.WithCancel(t.ctx)
	end()
	o := t.object(100)
	if _, err := t.machines[0].Put(ctx, o.Name, o.Content); err == nil {
		return errors.New("put succeeds")
	}
	if _, err := listed(ctx, t.machines[0]); err == nil {
		return errors.New("list succeeds")
	}
	if _, err := t.machines[0].Get(ctx, o.Name); err == nil {
		return errors.New("get succeeds")
	}
	return t.all()
}
