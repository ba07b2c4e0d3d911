package sqlite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
	lib "modernc.org/sqlite/lib"
)

// broken has the error codes of each operation if the disk fails, and for writes also the code for
// a full disk.
var broken = map[string][]int32{
	opOpen: {lib.SQLITE_CANTOPEN}, opDelete: {lib.SQLITE_IOERR_DELETE}, opAccess: {lib.SQLITE_IOERR_ACCESS},
	opRead: {lib.SQLITE_IOERR_READ}, opWrite: {lib.SQLITE_IOERR_WRITE, lib.SQLITE_FULL}, opTruncate: {lib.SQLITE_IOERR_TRUNCATE},
	opSync: {lib.SQLITE_IOERR_FSYNC}, opFileSize: {lib.SQLITE_IOERR_FSTAT}, opLock: {lib.SQLITE_IOERR_LOCK},
	opShmMap: {lib.SQLITE_IOERR_SHMMAP}, opShmLock: {lib.SQLITE_IOERR_SHMLOCK},
}

// fault makes one operation on a database fail, or all operations from that one on.
type fault struct {
	at     int64 // number of the operation, from 1; 0 means none
	which  int   // index of the error code in broken
	sticky bool  // operations fail until mended is set
	seen   atomic.Int64
	hit    atomic.Pointer[fileOp] // the first operation that failed
	mended atomic.Bool
}

func (f *fault) String() string {
	how := "once"
	if f.sticky {
		how = "from there on"
	}
	if op := f.hit.Load(); op != nil {
		return fmt.Sprintf("operation %d, %s of r.db%s, fails %s with code %d", f.at, op.op, op.end, how, f.code(op.op))
	}
	return fmt.Sprintf("operation %d fails %s", f.at, how)
}

func (f *fault) code(op string) int32 {
	codes := broken[op]
	return codes[min(f.which, len(codes)-1)]
}

// tap implements [tap].
func (f *fault) tap(op fileOp) int32 {
	n := f.seen.Add(1)
	if f.mended.Load() || n != f.at && !(f.sticky && n > f.at && f.at > 0) {
		return lib.SQLITE_OK
	}
	f.hit.CompareAndSwap(nil, &fileOp{op: op.op, end: op.end})
	return f.code(op.op)
}

// suffered is the result of one fault.
type suffered struct {
	refused  int // calls that returned an error
	absorbed bool
	late     bool // a save that returned an error was found complete after kill -9
	text     string
}

// suffer drives two runs to their end with a fault on the way. It returns an error if an
// acknowledged save is lost, a refused save was made, data is damaged, or the database does not
// work after the fault is gone. If hide is set, refusals are treated as acknowledgements.
func suffer(ctx context.Context, dir string, f *fault, hide bool) (out suffered, err error) {
	path := filepath.Join(dir, "r.db")
	if err := made(ctx, path); err != nil {
		return out, err
	}
	p, err := castOf(2, 3, 3000)
	if err != nil {
		return out, err
	}
	defer taps.Delete(path)
	refuse := func(err error) {
		out.refused++
		if out.text == "" {
			out.text = err.Error()
		}
	}
	b, err := openTapped(ctx, path, sqlitedb.Power, f.tap)
	if err != nil {
		refuse(err)
		f.mended.Store(true)
		if b, err = openTapped(ctx, path, sqlitedb.Power, f.tap); err != nil {
			return out, fmt.Errorf("the fault is gone and the database cannot be opened: %w", err)
		}
	}
	if _, err := sqlitedb.Pragma(ctx, b.w.conn, sqlitedb.Setting{Name: "wal_autocheckpoint", Set: "12"}); err != nil {
		refuse(err)
		f.mended.Store(true)
	}
	fail := func(err error) (suffered, error) { return out, errors.Join(err, b.Close()) }
	failures := 0
	for turn := 0; len(p.open()) > 0; turn++ {
		open := p.open()
		i := open[turn%len(open)]
		err := p.save(b, i)
		if err == nil {
			n, err := p.sagas[i].found(b)
			if err != nil {
				refuse(err) // a failed load is not a failed save
				if !f.sticky {
					f.mended.Store(true)
				}
			} else if n != p.done[i] && !hide {
				return fail(fmt.Errorf("%d saves of %s are loaded, %d were acknowledged", n, p.sagas[i].key, p.done[i]))
			}
			continue
		}
		refuse(err)
		if hide {
			p.done[i]++
			continue
		}
		if failures++; f.mended.Load() {
			return fail(fmt.Errorf("the fault is gone and %w", err))
		}
		late, err := p.killed(ctx, path)
		if err != nil {
			return fail(fmt.Errorf("after kill -9: %w", err))
		}
		out.late = out.late || late
		if failures == 3 || !f.sticky {
			f.mended.Store(true)
			if err := p.exactly(b); err != nil {
				return fail(err)
			}
		}
	}
	if err := b.Close(); err != nil {
		refuse(err)
	}
	out.absorbed = out.refused == 0 && f.hit.Load() != nil
	taps.Delete(path)
	if b, err = Open(ctx, path, sqlitedb.Process); err != nil {
		return out, fmt.Errorf("open again: %w", err)
	}
	var verdict string
	err = b.readers.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&verdict)
	if err != nil || verdict != "ok" {
		return fail(fmt.Errorf("damaged: %q, %v", verdict, err))
	}
	return fail(p.exactly(b))
}

// exactly checks that exactly the acknowledged saves are saved.
func (p *troupe) exactly(b *Backend) error {
	for i, s := range p.sagas {
		n, err := s.found(b)
		if err != nil {
			return err
		}
		if n != p.done[i] {
			return fmt.Errorf("%d saves of %s were found, %d were acknowledged", n, s.key, p.done[i])
		}
	}
	return nil
}

// killed checks the files as kill -9 would leave them now. A refused save may be found if it is
// complete, because the log may have been written.
func (p *troupe) killed(ctx context.Context, path string) (more bool, err error) {
	look := &troupe{sagas: p.sagas, done: slices.Clone(p.done), leases: slices.Clone(p.leases)}
	if err := look.meetAt(ctx, path); err != nil {
		return false, err
	}
	for i := range p.sagas {
		if look.done[i] < p.done[i] {
			return false, fmt.Errorf("%d of %d acknowledged saves were found", look.done[i], p.done[i])
		}
		more = more || look.done[i] > p.done[i]
	}
	return more, nil
}

// Every operation on the files fails, either once or from then on until the fault is mended.
func TestFaultsOfTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	none := &fault{}
	if _, err := suffer(t.Context(), filepath.Join(mustMake(t, dir, "none")), none, false); err != nil {
		t.Fatal(err)
	}
	var all []*fault
	for at := int64(1); at <= none.seen.Load(); at++ {
		for which := range 2 {
			for _, sticky := range []bool{false, true} {
				all = append(all, &fault{at: at, which: which, sticky: sticky})
			}
		}
	}
	n := min(trials(80), len(all))
	chance(0).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	refused, absorbed, late, texts := 0, 0, 0, map[string]int{}
	var mu sync.Mutex // guards the counters
	several(n, func(i int) {
		f, dir := all[i], filepath.Join(dir, fmt.Sprint(i))
		out, err := suffered{}, os.Mkdir(dir, 0o755)
		if err == nil {
			out, err = suffer(t.Context(), dir, f, false)
		}
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil { // otherwise the directory of the test would grow large
			t.Errorf("%v: %v\n%s", f, err, repeat(t, n))
		}
		mu.Lock()
		defer mu.Unlock()
		if out.refused > 0 {
			refused++
			texts[out.text[strings.LastIndex(out.text, ":")+1:]]++
		}
		if out.absorbed {
			absorbed++
		}
		if out.late {
			late++
		}
	})
	t.Logf("%d of %d faults: %d were reported to the caller, %d had no effect; in %d cases a refused save was found complete after kill -9\n%s", n, len(all), refused, absorbed, late, repeat(t, n))
	for _, text := range slices.Sorted(maps.Keys(texts)) {
		t.Logf("%3d times %q", texts[text], text)
	}
	t.Run("control: a hidden error is detected", func(t *testing.T) {
		const enough = 5
		tried, found := 0, 0
		for ; tried < n && found < enough; tried++ {
			f := &fault{at: all[tried].at, sticky: all[tried].sticky}
			if _, err := suffer(t.Context(), mustMake(t, dir, fmt.Sprint("hidden", tried)), f, true); err != nil {
				found++
			}
		}
		if found == 0 {
			t.Error("it was not")
		}
		t.Logf("%d of %d", found, tried)
	})
}

func mustMake(t *testing.T, dir, name string) string {
	t.Helper()
	dir = filepath.Join(dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
