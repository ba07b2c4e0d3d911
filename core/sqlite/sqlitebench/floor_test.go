package sqlitebench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// TestFloorRepeatsTheBytes replays a recording on a new database and compares all rows.
func TestFloorRepeatsTheBytes(t *testing.T) {
	dir := t.TempDir()
	b, err := OpenRecorder(t.Context(), filepath.Join(dir, "recorded.db"), sqlite.Process)
	if err != nil {
		t.Fatal(err)
	}
	double := core.Func[int, int](func(_ context.Context, r core.Request[int]) (int, error) { return 2 * r.Input, nil })
	id, set := func(n int) int { return n }, func(n *int, out int) { *n = out }
	p, err := core.New("p", core.Step("a", double, id, set), core.Step("b", double, id, set))
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"r1", "r2"} {
		if _, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), p, core.RunKey{Run: run}, 3); err != nil {
			t.Fatal(err)
		}
	}
	rec := b.tape.recording()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	want := dump(t, filepath.Join(dir, "recorded.db"))
	if rec.Len() != 8 {
		t.Fatalf("%d transactions are recorded, want 2 runs of N+2 = 4", rec.Len())
	}
	single := 0
	for _, tx := range rec.txs {
		if tx.single {
			single++
		}
	}
	if single != 6 {
		t.Errorf("%d transactions are recorded as one statement, want 6: the steps and the end of 2 runs", single)
	}
	path := filepath.Join(dir, "floor.db")
	f, err := OpenFloor(t.Context(), path, sqlite.Process, rec)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Replay(4), f.Replay(4)); err != nil {
		t.Fatal(err)
	}
	if err := f.Replay(1); err == nil {
		t.Error("the recording never ends")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, dump(t, path)); d != "" {
		t.Errorf("rows of the floor (-recorded +replayed):\n%s", d)
	}
}

func dump(t *testing.T, path string) []string {
	t.Helper()
	db, err := sqlitedb.Open(path, sqlite.Process)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT quote(id)||run||pipeline||quote(plan)||epoch||status||error||started||ended FROM runs
		UNION ALL SELECT quote(key)||path||status||attempts||quote(output)||feedback||error||quote(state)||started||ended||sum FROM steps`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil || len(all) != 2+2*3 {
		t.Fatalf("%d rows, error %v", len(all), err)
	}
	return all
}

func TestTheFloorReplaysOperationByOperation(t *testing.T) {
	dir := t.TempDir()
	b, err := OpenRecorder(t.Context(), filepath.Join(dir, "b.db"), sqlite.Process)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		for j := range i + 1 {
			if _, err := b.Start(t.Context(), core.StartRecord{Key: core.RunKey{Run: fmt.Sprint(i, j)}, State: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
		}
		b.Mark()
	}
	rec := b.tape.recording()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFloor(t.Context(), filepath.Join(dir, "f.db"), sqlite.Process, rec)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := f.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Next(); err == nil {
		t.Error("a fourth operation was replayed")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if rec.Len() != 6 || rec.Statements() != 12 {
		t.Errorf("%d transactions, %d statements", rec.Len(), rec.Statements())
	}
}

// Refused and rolled back statements are not recorded, and a transaction is recorded once.
func TestOnlyWhatIsCommittedIsRecorded(t *testing.T) {
	b, err := OpenRecorder(t.Context(), filepath.Join(t.TempDir(), "b.db"), sqlite.Process)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	start := func() error {
		_, err := b.Start(t.Context(), core.StartRecord{Key: core.RunKey{Run: "r"}, State: []byte("{}")})
		return err
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	if err := start(); !errors.Is(err, core.ErrRunExists) {
		t.Fatalf("a second start: %v", err)
	}
	if err := b.Step(t.Context(), core.Lease{ID: 1, Epoch: 2}, core.StepRecord{Seq: 1, Path: "s"}); !errors.Is(err, core.ErrFenced) {
		t.Fatalf("a fenced step: %v", err)
	}
	if rec := b.tape.recording(); rec.Len() != 1 || rec.Statements() != 2 {
		t.Errorf("%d transactions of %d statements, want 1 of 2", rec.Len(), rec.Statements())
	}
}

// The log of a floor is preallocated like that of a backend, because both must cost the same.
func TestTheFloorIsPreparedAsTheBackend(t *testing.T) {
	dir := t.TempDir()
	size := func(name string) int64 {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	b, err := sqlite.Open(t.Context(), filepath.Join(dir, "b.db"), sqlite.Power)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	f, err := OpenFloor(t.Context(), filepath.Join(dir, "f.db"), sqlite.Power, &Recording{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, want := size("f.db-wal"), size("b.db-wal"); got != want || want < 1<<20 {
		t.Errorf("the log of the floor has %d bytes, that of the backend %d", got, want)
	}
}

// SQLite itself would copy the log in a commit, and only after 4000 pages.
func TestTheLogOfTheFloorIsCopiedAsThatOfTheBackend(t *testing.T) {
	dir := t.TempDir()
	b, err := OpenRecorder(t.Context(), filepath.Join(dir, "b.db"), sqlite.Process)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 600 {
		rec := core.StartRecord{Key: core.RunKey{Run: fmt.Sprint(i)}, Pipeline: "p", State: []byte("{}"), Time: time.Unix(1, 0)}
		if _, err := b.Start(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	rec := b.tape.recording()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "f.db")
	f, err := OpenFloor(t.Context(), path, sqlite.Process, rec)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	empty := size()
	if err := f.Replay(rec.Len()); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); size() <= empty; time.Sleep(time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("after %d transactions the database has %d bytes, as when it was empty", rec.Len(), empty)
		}
	}
}
