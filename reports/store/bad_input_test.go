package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/store"
	"github.com/flujo/flujo-harness/reports/store/storetest"
)

// A run of a machine whose clock is far ahead is added. A run that is recorded afterwards is still the
// newest, and it is sent.
func TestSyncOfARunFromTheFuture(t *testing.T) {
	s, err := store.OpenFolder(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	ahead, here := open(t, filepath.Join(t.TempDir(), "ahead.db")), open(t, filepath.Join(t.TempDir(), "here.db"))
	future := storetest.Run(1, 3)
	future.Started = time.Now().AddDate(1, 0, 0).UTC()
	if _, err := ahead.Append(t.Context(), future); err != nil {
		t.Fatal(err)
	}
	if done, err := store.Sync(t.Context(), ahead, s); err != nil || done.Sent != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if done, err := store.Sync(t.Context(), here, s); err != nil || done.Taken != 1 || len(done.Refused) > 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	mine := storetest.Run(2, 3)
	mine.Started = time.Now().UTC()
	added, err := here.Append(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	lines, _, err := here.Lines(t.Context(), 1)
	if err != nil || lines[0].ID != added.ID {
		t.Errorf("the newest is run %d, want %d: %v", lines[0].ID, added.ID, err)
	}
	if done, err := store.Sync(t.Context(), here, s); err != nil || done.Sent != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}

// A run that two machines recorded is one object, and one run in each history. Two objects with the
// same run, which two versions of this program may have encoded, are one run, too.
func TestTwoRunsWithOneDigest(t *testing.T) {
	s, err := store.OpenFolder(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	r := storetest.Run(1, 3)
	for _, name := range []string{"a.db", "b.db"} {
		h := open(t, filepath.Join(t.TempDir(), name))
		for range 2 {
			if _, err := h.Append(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.Sync(t.Context(), h, s); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s); n != 1 {
		t.Errorf("%d objects, want 1", n)
	}
	named := r
	named.Command = r.Command + " " // another object, of the same key
	named.Key, r.Key = "a-job", "a-job"
	for _, of := range []reports.Run{r, named} {
		name, object, err := store.Encode(of)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), name, object); err != nil {
			t.Fatal(err)
		}
	}
	h := open(t, filepath.Join(t.TempDir(), "c.db"))
	done, err := store.Sync(t.Context(), h, s)
	lines, _, listed := h.Lines(t.Context(), 10)
	t.Logf("%d objects, %d taken, %d runs", count(t, s), done.Taken, len(lines))
	if err != nil || listed != nil || len(done.Refused) > 0 || done.Taken != len(lines) {
		t.Errorf("%+v, %d runs: %v", done, len(lines), errors.Join(err, listed))
	}
	again, err := store.Sync(t.Context(), h, s)
	if err != nil || again.Sent+again.Taken != 0 || count(t, s) != 3 {
		t.Errorf("again: %+v, %d objects: %v", again, count(t, s), err)
	}
}

func count(t *testing.T, s store.Store) (n int) {
	t.Helper()
	for _, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Objects of a newer version are reported and stay in the store. They do not prevent others from being
// read.
func TestStoreOfANewerVersion(t *testing.T) {
	dir := t.TempDir()
	s, err := store.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	name, object, err := store.Encode(storetest.Run(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), name, object); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, strings.Replace(name, "Z-", "Z-v2-", 1))
	if err := os.WriteFile(newer, []byte("of a newer version"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	done, err := store.Sync(t.Context(), h, s)
	if err != nil || done.Taken != 1 || len(done.Refused) != 1 || !strings.Contains(done.Refused[0].Error(), "newer version") {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := os.Stat(newer); err != nil {
		t.Error(err)
	}
}
