package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// flipped is the effect of one flipped bit.
type flipped int

const (
	harmless flipped = iota // the bit has no meaning, or is in data that is not loaded
	noticed                 // opening the database or loading the run fails
	checked                 // only integrity_check finds it
	missed                  // a run differs or is missing, without an error
)

// turn flips one bit of the file.
func turn(path string, bit int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var b [1]byte
	if _, err = f.ReadAt(b[:], bit/8); err == nil {
		b[0] ^= 1 << (bit % 8)
		_, err = f.WriteAt(b[:], bit/8)
	}
	return errors.Join(err, f.Close())
}

// afterFlip loads all runs of a damaged database. It also reports whether a reader that does not
// verify checksums would have read wrong data.
func afterFlip(ctx context.Context, path string, want []core.Snapshot, plain string) (out flipped, deceived bool, detail string) {
	b, err := open(ctx, path, sqlitedb.Unsynced, probe.Probe{})
	if err != nil {
		return noticed, false, err.Error()
	}
	defer b.Close() // an error is ignored, because the database is damaged
	rows, err := unchecked(ctx, b)
	deceived = err == nil && rows != plain
	for _, snap := range want {
		got, err := b.Load(ctx, snap.Start.Key)
		switch {
		case err == nil && reflect.DeepEqual(got, snap):
			continue
		case err == nil:
			detail = cmp.Diff(snap, got)
		default:
			detail = err.Error()
		}
		if err != nil && !errors.Is(err, core.ErrRunNotFound) {
			return noticed, deceived, detail
		}
		var verdict string
		err = b.readers.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict)
		if err != nil || verdict != "ok" {
			return checked, deceived, fmt.Sprint(verdict, err)
		}
		return missed, deceived, detail
	}
	return harmless, false, ""
}

// unchecked reads the data of the runs without verifying checksums.
func unchecked(ctx context.Context, b *Backend) (text string, err error) {
	err = b.readers.QueryRowContext(ctx, `SELECT
		(SELECT group_concat(quote(path)||status||quote(output)||feedback||error||quote(state)||token) FROM steps) ||
		(SELECT group_concat(epoch||status||error||ended||quote(exits)) FROM runs)`).Scan(&text)
	return text, err
}

// storedRuns creates a database with runs in different states and returns their snapshots.
func storedRuns(ctx context.Context, path string) (all []core.Snapshot, err error) {
	b, err := Open(ctx, path, sqlitedb.Process)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	p, err := castOf(4, 6, 700)
	if err != nil {
		return nil, err
	}
	for i, s := range p.sagas {
		for range len(s.saves) - 3*i {
			if err := p.save(b, i); err != nil {
				return nil, err
			}
		}
		snap, err := b.Load(ctx, s.key)
		if err != nil {
			return nil, err
		}
		all = append(all, snap)
	}
	return all, nil
}

// One bit of the file is flipped, at any position: in states, records, rows of runs or the
// structure of the database.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "r.db")
	want, err := storedRuns(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, path, sqlitedb.Process)
	plain, err := unchecked(t.Context(), b)
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	all, rng := int64(len(whole))*8, chance(0)
	n := min(int64(trials(600)), all)
	var count [missed + 1]int
	deceived := 0
	for i := range n {
		bit := i
		if n < all {
			bit = rng.Int64N(all)
		}
		if err := turn(path, bit); err != nil {
			t.Fatal(err)
		}
		out, lied, detail := afterFlip(t.Context(), path, want, plain)
		count[out]++
		if lied {
			deceived++
		}
		if out == missed {
			t.Errorf("bit %d of byte %d (page %d, %d): %s\n%s", bit%8, bit/8, bit/8/4096+1, bit/8%4096, detail, repeat(t, int(n)))
		}
		if err := turn(path, bit); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, whole) {
		t.Errorf("the file is not as it was: %v", err)
	}
	if deceived == 0 {
		t.Error("control: no bit changes what a reader without checksums sees")
	}
	t.Logf("%d of %d bits: %d noticed by opening and loading, %d only by integrity_check, %d without effect, %d missed; %d would have been read as valid without checksums\n%s",
		n, all, count[noticed], count[checked], count[harmless], count[missed], deceived, repeat(t, int(n)))
}

// In the past the row of a run had no checksum, so that a damaged status or error was accepted.
func TestDamagedRunIsNoticed(t *testing.T) {
	t.Parallel()
	for column, to := range map[string]string{
		"pipeline": "'q'", "plan": "plan + 1", "epoch": "epoch + 1", "status": "5", "error": "'none'", "started": "started + 1",
		"ended": "ended + 1", "exits": "NULL", "sum": "sum + 1", "wake": "wake + 1", "seen": "seen + 1", "executor": "'nobody'", "until": "until + 1",
		"origin_run": "'none'",
	} {
		path := filepath.Join(t.TempDir(), "r.db")
		want, err := storedRuns(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		b := mustOpen(t, path, sqlitedb.Process)
		if _, err := b.readers.ExecContext(t.Context(), "UPDATE runs SET "+column+" = "+to+" WHERE run = 'run1'"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Load(t.Context(), want[1].Start.Key); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s was changed outside of the backend, and Load returned %v", column, err)
		}
		if _, _, err := b.Claim(t.Context(), want[1].Start.Key, 0); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s was changed outside of the backend, and Claim returned %v", column, err)
		}
	}
}

// In the past a flipped bit in the key of the last record of a run removed that record, and not
// even integrity_check found it.
func TestLastRecordUnderAnotherKeyIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	want, err := storedRuns(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, path, sqlitedb.Process)
	if _, err := b.readers.ExecContext(t.Context(), "UPDATE steps SET key = key + (1 << 24) WHERE key = (SELECT max(key) FROM steps)"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Load(t.Context(), want[3].Start.Key); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
}
