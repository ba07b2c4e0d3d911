package storetest

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/store"
)

// place is a correct store in memory, which machines share.
type place struct {
	mu      sync.Mutex
	objects map[string][]byte
	order   []string // names in the order of Put
}

// machine is a store at a place. Each function that is not nil replaces the correct implementation.
type machine struct {
	*place
	put    func(name string, object []byte) (bool, error)
	list   func() []string
	get    func(name string) ([]byte, bool)
	delete func(names []string)
}

func (m *machine) Close() error { return nil }

func (p *place) keep(name string, object []byte) bool {
	_, known := p.objects[name]
	if !known {
		p.objects[name] = slices.Clone(object)
		p.order = append(p.order, name)
	}
	return known
}

func (p *place) sorted() []string { return slices.Sorted(maps.Keys(p.objects)) }

func (m *machine) Put(ctx context.Context, name string, object []byte) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := store.CheckName(name); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.put != nil {
		return m.put(name, object)
	}
	return m.keep(name, object), nil
}

func (m *machine) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		m.mu.Lock()
		names := m.sorted()
		if m.list != nil {
			names = m.list()
		}
		m.mu.Unlock()
		if err := ctx.Err(); err != nil {
			yield("", err)
			return
		}
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

func (m *machine) Get(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := store.CheckName(name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	object, ok := m.objects[name]
	if m.get != nil {
		object, ok = m.get(name)
	}
	if !ok {
		return nil, fmt.Errorf("object %s: %w", name, fs.ErrNotExist)
	}
	return slices.Clone(object), nil
}

func (m *machine) Delete(_ context.Context, names ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.delete != nil {
		m.delete(names)
		return nil
	}
	for _, name := range names {
		delete(m.objects, name)
	}
	return nil
}

// faults makes a store wrong in one way each.
var faults = map[string]func(*machine){
	"overwrites": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) {
			_, known := m.objects[name]
			m.objects[name] = slices.Clone(object)
			return known, nil
		}
	},
	"overwrites with longer content only": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) {
			known := m.keep(name, object)
			if len(object) > len(m.objects[name]) {
				m.objects[name] = object
			}
			return known, nil
		}
	},
	"truncates if empty content is put": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) {
			known := m.keep(name, object)
			if len(object) == 0 {
				m.objects[name] = nil
			}
			return known, nil
		}
	},
	"overwrites and reports the name as new": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) { m.objects[name] = object; return false, nil }
	},
	"loses every object": func(m *machine) {
		m.put = func(string, []byte) (bool, error) { return false, nil }
	},
	"loses the oldest object": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) {
			known := m.keep(name, object)
			if len(m.order) > 10 {
				delete(m.objects, m.order[0])
				m.order = m.order[1:]
			}
			return known, nil
		}
	},
	"does not share its objects": func(m *machine) { m.place = &place{objects: map[string][]byte{}} },
	"truncates objects": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) { return m.keep(name, object[:len(object)/2]), nil }
	},
	"truncates large objects": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) {
			return m.keep(name, object[:min(len(object), 1<<20)]), nil
		}
	},
	"lists an object before it is complete": func(m *machine) {
		whole := map[string]bool{}
		m.get = func(name string) ([]byte, bool) {
			object, ok := m.objects[name]
			if !whole[name] {
				object = object[:len(object)/2]
			}
			whole[name] = true
			return object, ok
		}
	},
	"adds a line break": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) {
			return m.keep(name, append(slices.Clone(object), '\n')), nil
		}
	},
	"reports an existing name as new": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) { m.keep(name, object); return false, nil }
	},
	"reports a new name as known": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) { m.keep(name, object); return true, nil }
	},
	"knows only the names of when it was opened": func(m *machine) {
		seen := maps.Clone(m.objects)
		m.put = func(name string, object []byte) (bool, error) {
			if _, known := seen[name]; known {
				return true, nil
			}
			seen[name], m.objects[name] = object, object
			return false, nil
		}
	},
	"lists in the order of Put": func(m *machine) {
		m.list = func() []string { return m.order }
	},
	"lists deleted objects": func(m *machine) {
		m.list = func() []string { slices.Sort(m.order); return slices.Compact(m.order) }
	},
	"lists only a page": func(m *machine) {
		m.list = func() []string { names := m.sorted(); return names[:min(len(names), 10)] }
	},
	"lists one object twice": func(m *machine) {
		m.list = func() []string { names := m.sorted(); return append(names[:min(1, len(names))], names...) }
	},
	"lists nothing": func(m *machine) { m.list = func() []string { return nil } },
	"gets another object": func(m *machine) {
		m.get = func(name string) ([]byte, bool) {
			if _, ok := m.objects[name]; !ok {
				return nil, false
			}
			return m.objects[m.sorted()[0]], true
		}
	},
	"gets a missing object as empty": func(m *machine) {
		m.get = func(name string) ([]byte, bool) { return m.objects[name], true }
	},
	"ignores packs": func(m *machine) {
		m.list = func() []string { return slices.DeleteFunc(m.sorted(), store.IsPack) }
	},
	"does not delete":             func(m *machine) { m.delete = func([]string) {} },
	"deletes the first name only": func(m *machine) { m.delete = func(names []string) { delete(m.objects, names[0]) } },
	"deletes all objects":         func(m *machine) { m.delete = func([]string) { clear(m.objects) } },
	"does not accept a deleted name again": func(m *machine) {
		m.put = func(name string, object []byte) (bool, error) {
			if slices.Contains(m.order, name) {
				return true, nil
			}
			return m.keep(name, object), nil
		}
	},
}

func opener(break_ func(*machine)) func(context.Context) (store.Store, error) {
	p := &place{objects: map[string][]byte{}}
	return func(context.Context) (store.Store, error) {
		m := &machine{place: p}
		break_(m)
		return m, nil
	}
}

func TestEachFaultIsFound(t *testing.T) {
	if err := Test(t.Context(), opener(func(*machine) {})); err != nil {
		t.Errorf("a correct store: %v", err)
	}
	for what, fault := range faults {
		err := Test(t.Context(), opener(fault))
		if err == nil {
			t.Errorf("a store that %s passes", what)
		}
		t.Logf("%s: %v", what, err)
	}
}

// The control for [Jobs]: a history in the cache of a CI service loses runs, because every concurrent
// job restores the file, appends a run, and saves the file under the same key.
func TestCachedFileLosesRuns(t *testing.T) {
	const waves, jobs = 5, 10
	cache := filepath.Join(t.TempDir(), "cache.db")
	add := func(path string, i int) {
		h, err := history.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if _, err := h.Append(t.Context(), Run(i, 2)); err != nil {
			t.Fatal(err)
		}
	}
	move := func(from, to string) {
		text, err := os.ReadFile(from)
		if os.IsNotExist(err) {
			return
		}
		if err == nil {
			err = os.WriteFile(to, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for wave := range waves {
		dir := t.TempDir()
		for j := range jobs {
			move(cache, filepath.Join(dir, fmt.Sprint(j)))
		}
		for j := range jobs {
			add(filepath.Join(dir, fmt.Sprint(j)), wave*jobs+j)
		}
		for j := range jobs {
			move(filepath.Join(dir, fmt.Sprint(j)), cache)
		}
	}
	h, err := history.Open(t.Context(), cache)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	lines, _, err := h.Lines(t.Context(), waves*jobs)
	if err != nil || len(lines) != waves {
		t.Errorf("%d of %d runs are left, want %d (%v)", len(lines), waves*jobs, waves, err)
	}
}

func TestJobsCountsLosses(t *testing.T) {
	for what, fault := range faults {
		if what != "loses the oldest object" && what != "loses every object" {
			continue
		}
		if c, err := Jobs(t.Context(), t.TempDir(), opener(fault), 5, 6, 2); err != nil || c.Lost == 0 {
			t.Errorf("a store that %s: %v, %v", what, c, err)
		}
	}
}
