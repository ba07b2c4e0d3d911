package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// shoot continues the runs in the database at path until all have ended or most transactions are
// made, and returns a film of it. If closed is set, it closes the database at the end.
func (p *troupe) shoot(ctx context.Context, path string, d sqlitedb.Durability, rng *rand.Rand, most, checkpoint int, closed bool) (f *film, err error) {
	f, err = newFilm(path, p.done)
	if err != nil {
		return nil, err
	}
	b, err := openTapped(ctx, path, d, f.tap)
	if err != nil {
		return nil, err
	}
	defer func() {
		if !closed {
			taps.Delete(path)
		}
		err = errors.Join(err, b.Close())
		taps.Delete(path)
	}()
	if err := p.meet(b); err != nil {
		return nil, err
	}
	// The log is copied into the database every few saves, by a commit or on another connection.
	if checkpoint%2 == 0 {
		b.checkpointAt = checkpoint
	} else if _, err := sqlitedb.Pragma(ctx, b.w.conn, sqlitedb.Setting{Name: "wal_autocheckpoint", Set: fmt.Sprint(checkpoint)}); err != nil {
		return nil, err
	}
	for range most {
		open := p.open()
		if len(open) == 0 {
			break
		}
		rng.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
		open = open[:1+rng.IntN(len(open))]
		if rng.IntN(2) == 0 {
			open = open[:1]
		}
		before := slices.Clone(p.done)
		if err := p.together(b, open); err != nil {
			return nil, err
		}
		for _, i := range open {
			for range p.done[i] - before[i] {
				f.acknowledged(i)
			}
		}
	}
	return f, nil
}

// losses counts what the images of an experiment show.
type losses struct {
	images, events, saves int
	lost                  int // images without an acknowledged save
	torn                  int // images that cannot be opened, are damaged, or have a run in a state that it never had
	first                 string
}

func (l losses) String() string {
	return fmt.Sprintf("%d images of %d events with %d acknowledged saves: %d with lost saves, %d torn", l.images, l.events, l.saves, l.lost, l.torn)
}

// look opens an image and compares its contents with the acknowledged saves. It returns the number
// of saves of each run.
func (l *losses) look(ctx context.Context, p *troupe, path string, done []int) (found []int, err error) {
	l.images++
	b, err := open(ctx, path, sqlitedb.Unsynced, probe.Probe{})
	if err != nil {
		l.torn++
		return nil, fmt.Errorf("torn: %w", err)
	}
	defer func() { err = errors.Join(err, b.Discard()) }()
	var verdict string
	if err := b.readers.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		l.torn++
		return nil, fmt.Errorf("torn: integrity_check returned %q, %v", verdict, err)
	}
	for i, s := range p.sagas {
		n, err := s.found(b)
		if err != nil {
			l.torn++
			return nil, fmt.Errorf("torn: %w", err)
		}
		if n < done[i] {
			l.lost++
			return nil, fmt.Errorf("lost: %d of %d acknowledged saves of %s were found", n, done[i], s.key)
		}
		found = append(found, n)
	}
	return found, nil
}

// losePower records runs at a durability and checks n images of them.
func losePower(t *testing.T, d sqlitedb.Durability, n int, report bool) (l losses) {
	each := min(250, max(10, n/12)) // images per life
	for film := uint64(0); l.images < n; film++ {
		rng := chance(film)
		dir := filepath.Join(t.TempDir(), fmt.Sprint("film", film))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "r.db")
		if err := made(t.Context(), path); err != nil { // before the recording, because lost directory entries are not simulated here
			t.Fatal(err)
		}
		// The log is restarted within few saves, or as rarely as by default.
		steps, fill, most, checkpoint := 8, 900, 1000, 8+rng.IntN(40)
		if film%4 == 3 {
			steps, fill, checkpoint = 10, 40<<10, 1000
		}
		p, err := castOf(6, steps, fill)
		if err != nil {
			t.Fatal(err)
		}
		recovered := false
		for life := 0; len(p.open()) > 0 && l.images < n; life++ {
			if life == 0 && film%2 == 0 {
				most = 12 // closed or interrupted in the middle of the runs
			}
			f, err := p.shoot(t.Context(), path, d, rng, most, checkpoint, life == 0)
			if err != nil {
				t.Fatal(err)
			}
			l.events += len(f.events)
			l.saves += f.saves()
			var survivor string
			err = f.images(min(each, n-l.images), rng, filepath.Join(dir, "image"), func(image, how string, done []int) error {
				_, bad := l.look(t.Context(), p, image, done)
				if bad != nil && l.first == "" {
					l.first = fmt.Sprintf("film %d, life %d, %s: %v", film, life, how, bad)
				}
				if bad != nil && report {
					t.Errorf("film %d, life %d, %s: %v\n%s", film, life, how, bad, repeat(t, n))
					keepImage(t, image, fmt.Sprintf("film%d-image%d", film, l.images))
				}
				if bad == nil && survivor == "" && life == 0 && rng.IntN(20) == 0 {
					survivor = filepath.Join(dir, "survivor")
					return os.Rename(filepath.Dir(image), survivor)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			// Power returns, the runs continue from an image, and power is lost again.
			if survivor != "" && !recovered {
				path, recovered = filepath.Join(survivor, "r.db"), true
				if err := p.meetAt(t.Context(), path); err != nil {
					t.Fatal(err)
				}
			}
			most = 1000
		}
	}
	return l
}

// keepImage copies a bad image to the directory that go test -artifacts keeps.
func keepImage(t *testing.T, path, name string) {
	if err := os.CopyFS(filepath.Join(t.ArtifactDir(), name), os.DirFS(filepath.Dir(path))); err != nil {
		t.Log(err)
	}
}

// Power is lost at any moment of concurrent runs, and of the recovery from an earlier loss. Writes
// that were not synced are kept, dropped or torn by sectors. No acknowledged save may be missing,
// and no run may be in a state that it never had. The controls do not sync, and must be detected.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	n := trials(150)
	l := losePower(t, sqlitedb.Power, n, true)
	t.Logf("power (synchronous=FULL): %v\n%s", l, repeat(t, n))
	t.Run("control: process loses saves and tears nothing", func(t *testing.T) {
		l := losePower(t, sqlitedb.Process, max(40, n/4), false)
		if l.lost == 0 || l.torn > 0 {
			t.Errorf("%v; want losses and nothing torn", l)
		}
		t.Logf("process (NORMAL): %v; the first: %s", l, l.first)
	})
	t.Run("control: without syncs the database is torn", func(t *testing.T) {
		l := losePower(t, sqlitedb.Unsynced, max(40, n/4), false)
		if l.lost == 0 || l.torn == 0 {
			t.Errorf("%v; want losses and damage", l)
		}
		t.Logf("unsynced (OFF): %v; the first: %s", l, l.first)
	})
}
