package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

func job(i int) reports.Run {
	r := sample.CellsRun(0, fmt.Sprintf("%04x:..F", i))
	r.Started = sample.Noon.Add(time.Duration(i) * time.Second)
	return r
}

func open(t *testing.T, path string) *history.History {
	t.Helper()
	h, err := history.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// check is what every store must do; the error says what it does not.
func check(ctx context.Context, s Store) error {
	name, object, err := Encode(job(1))
	if err != nil {
		return err
	}
	if known, err := s.Put(ctx, name, object); err != nil || known {
		return fmt.Errorf("the first put: %v, %w", known, err)
	}
	if known, err := s.Put(ctx, name, []byte("another")); err != nil || !known {
		return fmt.Errorf("a name that is taken: known %v, %w", known, err)
	}
	got, err := s.Get(ctx, name)
	if err != nil {
		return err
	}
	if _, err := Decode(name, got); err != nil {
		return fmt.Errorf("what was put: %w", err)
	}
	earlier, object, err := Encode(job(0))
	if err != nil {
		return err
	}
	if _, err := s.Put(ctx, earlier, object); err != nil {
		return err
	}
	var all []string
	for name, err := range s.List(ctx) {
		if err != nil {
			return err
		}
		all = append(all, name)
	}
	if want := []string{earlier, name}; !slices.Equal(all, want) {
		return fmt.Errorf("the list is %v, want %v", all, want)
	}
	return nil
}

// lying is a store with a fault.
type lying struct {
	*Folder
	fault string
}

func (l lying) Put(ctx context.Context, name string, object []byte) (bool, error) {
	path := filepath.Join(l.path, name)
	switch l.fault {
	case "overwrites":
		_, err := os.Stat(path)
		return err == nil, os.WriteFile(path, object, 0o644)
	case "forgets":
		return false, nil
	case "tears":
		return l.Folder.Put(ctx, name, object[:len(object)/2])
	case "says that nothing was there":
		_, err := l.Folder.Put(ctx, name, object)
		return false, err
	}
	return l.Folder.Put(ctx, name, object)
}

func TestStores(t *testing.T) {
	for _, fault := range []string{"", "overwrites", "forgets", "tears", "says that nothing was there"} {
		f, err := OpenFolder(filepath.Join(t.TempDir(), "store"))
		if err != nil {
			t.Fatal(err)
		}
		if err := check(t.Context(), lying{f, fault}); (err == nil) != (fault == "") {
			t.Errorf("a store that %q: %v", fault, err)
		}
	}
}

func TestHostileObjects(t *testing.T) {
	name, object, err := Encode(job(1))
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := Encode(job(2))
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(object)
	flipped[len(flipped)/2] ^= 1
	for what, tt := range map[string]struct {
		name   string
		object []byte
	}{
		"the content of another": {other, object}, "a flipped bit": {name, flipped}, "cut off": {name, object[:len(object)-9]}, "nothing": {name, nil},
		"another time": {"2" + name[1:3] + "0" + name[4:], object}, "a path": {"../" + name, object}, "a text": {name, []byte("<html>")},
	} {
		var bad *ObjectError
		if _, err := Decode(tt.name, tt.object); !errors.As(err, &bad) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Open("postgres://me:secret@db/x"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("err = %v", err)
	}
}

// Jobs at once, each with a history of its own, lose nothing; a bad object is named.
func TestJobsAtOnceLoseNothing(t *testing.T) {
	const jobs, each = 8, 5
	folder := filepath.Join(t.TempDir(), "store")
	s, err := OpenFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for j := range jobs {
		h := open(t, filepath.Join(t.TempDir(), "h.db"))
		wait.Go(func() {
			for i := range each {
				if _, err := h.Append(t.Context(), job(j*each+i)); err != nil {
					t.Error(err)
				}
				if _, err := Sync(t.Context(), h, s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	bad := "20261123T120000Z-" + strings.Repeat("0", 64)
	if err := os.WriteFile(filepath.Join(folder, bad), []byte("no run"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := open(t, filepath.Join(t.TempDir(), "all.db"))
	done, err := Sync(t.Context(), h, s)
	if err != nil || done.Taken != jobs*each || len(done.Refused) != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	if done, err = Sync(t.Context(), h, s); err != nil || done.Taken != 0 || done.Sent != 0 {
		t.Errorf("again: %+v, %v", done, err)
	}
	var commits []string
	if err := h.Each(t.Context(), func(r reports.Run) error { commits = append(commits, r.Commit); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(commits)
	if commits = slices.Compact(commits); len(commits) != jobs*each {
		t.Errorf("%d runs of %d", len(commits), jobs*each)
	}
}

func TestMerge(t *testing.T) {
	a, b := open(t, filepath.Join(t.TempDir(), "a.db")), open(t, filepath.Join(t.TempDir(), "b.db"))
	for i := range 4 {
		for k, h := range []*history.History{a, b} {
			if i != 3*k { // each lacks one
				if _, err := h.Append(t.Context(), job(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, want := range [][2]int{{1, 2}, {0, 3}} {
		taken, known, err := a.Merge(t.Context(), b)
		if diff := cmp.Diff(want, [2]int{taken, known}); err != nil || diff != "" {
			t.Errorf("%s, %v", diff, err)
		}
	}
}
