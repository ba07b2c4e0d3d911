package quarantine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
)

var (
	day   = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	entry = Entry{Suite: "shop", Spec: "an order is kept", Owner: "ada", Reason: "slow runners", Added: "2026-11-28", Expires: "2026-12-01"}
	spec  = reports.Spec{Suite: "shop", Containers: []string{"an  order"}, Leaf: "is kept", Occurrence: 2}
)

func TestAnEntryCoversItsSpecUntilItsLastDay(t *testing.T) {
	l := &Ledger{Path: filepath.Join(t.TempDir(), "a", "quarantine.toml")}
	if err := l.Add(entry); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(); err != nil {
		t.Fatal(err)
	}
	got, err := Read(l.Path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, got); diff != "" {
		t.Error(diff)
	}
	other := spec
	other.Leaf = "is kept too"
	for _, tt := range []struct {
		spec  *reports.Spec
		at    time.Time
		cover bool
	}{{&spec, day, true}, {&spec, day.AddDate(0, 0, 3), true}, {&spec, day.AddDate(0, 0, 4), false}, {&other, day, false}} {
		if e := got.Covers(tt.spec, tt.at); (e != nil) != tt.cover {
			t.Errorf("%s on %s: %v", tt.spec.Name(), tt.at, e)
		}
	}
	if n := len(got.Expired(day.AddDate(0, 0, 4))); n != 1 || len(got.Expired(day)) != 0 {
		t.Errorf("%d expired", n)
	}
	if gone := got.Expire(day.AddDate(0, 0, 4)); len(gone) != 1 || len(got.Entries) != 0 {
		t.Errorf("removed %v, left %v", gone, got.Entries)
	}
	var none *Ledger
	if none.Covers(&spec, day) != nil || none.Expired(day) != nil {
		t.Error("a missing ledger covers a failure")
	}
	if l, err := Read(filepath.Join(t.TempDir(), "none.toml")); err != nil || len(l.Entries) != 0 {
		t.Errorf("no file: %v, %v", l, err)
	}
}

func TestALedgerThatCannotBeUsed(t *testing.T) {
	row := func(change func(*Entry)) Entry {
		e := entry
		change(&e)
		return e
	}
	for want, e := range map[string]Entry{
		"owner is missing":   row(func(e *Entry) { e.Owner = " " }),
		"reason is missing":  row(func(e *Entry) { e.Reason = "" }),
		"suite is missing":   row(func(e *Entry) { e.Suite = "" }),
		"to 90 days later":   row(func(e *Entry) { e.Expires = "2027-02-27" }),
		"use a date such as": row(func(e *Entry) { e.Expires = "soon" }),
	} {
		l := &Ledger{Path: "q.toml"}
		if err := l.Add(e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q", err, want)
		}
		if len(l.Entries) != 0 {
			t.Error("the invalid entry was added")
		}
	}
	for _, expires := range []string{entry.Added, "2027-02-26"} { // the first and the last date allowed
		if err := new(Ledger).Add(row(func(e *Entry) { e.Expires = expires })); err != nil {
			t.Errorf("expires = %s: %v", expires, err)
		}
	}
	if err := new(Ledger).Add(row(func(e *Entry) { e.Expires = "2026-11-27" })); err == nil {
		t.Error("an entry that expires before it is added is valid")
	}
	full := &Ledger{Max: 1}
	if err := full.Add(entry); err != nil {
		t.Fatal(err)
	}
	if err := full.Add(entry); err != nil {
		t.Errorf("renew an entry: %v", err)
	}
	if err := full.Add(row(func(e *Entry) { e.Spec = "another" })); err == nil || !strings.Contains(err.Error(), "at most 1 are allowed") {
		t.Errorf("above the cap: %v", err)
	}
	for want, text := range map[string]string{
		"unknown key": "maximum = 3\n",
		"line 2":      "max = 3\n[[quarantine\n",
		"entry 2 (\"a\"): an earlier entry is for the same spec": strings.Repeat(`[[quarantine]]
suite = "s"
spec = "a"
owner = "o"
reason = "r"
added = "2026-11-28"
expires = "2026-11-29"
`, 2),
		"max = -1": "max = -1\n",
	} {
		path := filepath.Join(t.TempDir(), "q.toml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q", err, want)
		}
	}
}

func TestRelease(t *testing.T) {
	if ok, why := Release(99); ok || !strings.Contains(why, "99 of 100") {
		t.Error(ok, why)
	}
	if ok, why := Release(100); !ok || !strings.Contains(why, "at most 3.7%") {
		t.Error(ok, why)
	}
}
