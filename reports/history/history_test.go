package history

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

func open(t *testing.T, path string) *History {
	t.Helper()
	h, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func TestAppendIsAllOrNothing(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	twice := sample.Spec("x", reports.Passed)
	unknown, often := sample.Spec("y", "splendid"), sample.Spec("z", reports.Failed)
	often.Attempts = math.MaxInt32 + 1
	many := sample.Results(3*namesAtOnce, twice)
	many.Specs = append([]reports.Spec{twice}, many.Specs...)
	notANumber := sample.Comparison("w", 1)
	notANumber.CostRatio.Value = math.NaN()
	for name, run := range map[string]reports.Run{
		"the last spec occurs twice":         {Suites: sample.Results(5, twice, twice)},
		"a spec occurs twice, far apart":     {Suites: many},
		"the last spec has an unknown state": {Suites: sample.Results(5, unknown)},
		"a ratio is NaN":                     {Suites: sample.Results(5), Comparisons: append(sample.Comparisons(1), notANumber)},
		"more attempts than a row can hold":  {Suites: sample.Results(5, often)},
		"a value of a benchmark is infinite": {Suites: sample.Results(5), Key: "k", Benchmarks: []reports.Benchmark{{Name: "Add", Values: []float64{math.Inf(1)}}}},
	} {
		t.Run(name, func(t *testing.T) {
			if added, err := h.Append(t.Context(), run); err == nil {
				t.Fatalf("appended as %d", added.ID)
			} else if strings.Contains(name, "twice") && !strings.Contains(err.Error(), twice.Name()) {
				t.Errorf("the error does not name the spec: %v", err)
			}
			for _, table := range []string{"runs", "names", "blobs", "results", "measurements", "benchmarks"} {
				var n int
				if err := h.db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
					t.Fatal(err)
				}
				if n != 0 {
					t.Errorf("%d rows left in %s", n, table)
				}
			}
		})
	}
}

// A run that was interrupted is appended with a cancelled context.
func TestAppendOfAnInterruptedRun(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Append(ctx, reports.Run{Suites: sample.Results(3)}); err != nil {
		t.Error(err)
	}
}

func TestTheSameRunTwiceIsOneRun(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	file := reports.Run{Key: "job 7, attempt 1", Started: sample.Noon, Suites: sample.Results(3)}
	read := file
	read.Started, read.Command = sample.Noon.Add(time.Hour), "ingest again" // the same file, read again later
	rerun := file
	rerun.Suites = sample.Results(2, sample.Spec("x", reports.Failed))
	other := file
	other.Key = "job 7, attempt 2"
	plain := reports.Run{Started: sample.Noon, Suites: sample.Results(3)}
	later := plain
	later.Started = sample.Noon.Add(1)
	for i, step := range []struct {
		run  reports.Run
		want Appended
	}{
		{file, Appended{ID: 1}}, {file, Appended{1, true}}, {read, Appended{1, true}},
		{rerun, Appended{ID: 2}}, {other, Appended{ID: 3}},
		{plain, Appended{ID: 4}}, {plain, Appended{4, true}}, {later, Appended{ID: 5}},
	} {
		got, err := h.Append(t.Context(), step.run)
		if err != nil || got != step.want {
			t.Errorf("step %d: %+v, %v, want %+v", i, got, err, step.want)
		}
	}
	if got, err := h.Load(t.Context(), 1); err != nil || !got.Started.Equal(sample.Noon) {
		t.Errorf("the first run was replaced: %v, %v", got, err)
	}
}

// This test fails if a new field of a spec or a run is not stored.
func TestEveryFieldIsKept(t *testing.T) {
	s := reports.Spec{Occurrence: 1, State: reports.Failed}
	fill(reflect.ValueOf(&s).Elem())
	r := reports.Run{Started: sample.Noon, Suites: &reports.Results{Specs: []reports.Spec{s}, Suites: make([]reports.Suite, 1)}, Outcome: thresholds.Broken}
	fill(reflect.ValueOf(&r.Suites.Suites[0]).Elem())
	fill(reflect.ValueOf(&r).Elem())
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	added, err := h.Append(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	r.ID, r.Undated = added.ID, false // Undated is not stored: it only affects the order of runs
	got, err := h.Load(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&r, got); diff != "" {
		t.Error(diff)
	}
}

// The digest of a run, whose JSON is written in pieces, equals that of the JSON as a whole.
func TestIdentityIsOfTheWholeResults(t *testing.T) {
	s := reports.Spec{Occurrence: 1, State: reports.Failed, Message: "<a> & \u2028"}
	fill(reflect.ValueOf(&s).Elem())
	for _, r := range []*reports.Results{nil, {}, {Specs: []reports.Spec{}}, {Specs: []reports.Spec{s}}, {Specs: []reports.Spec{s, s}, Suites: make([]reports.Suite, 2), Measured: []thresholds.Judged{{}}}} {
		text, err := json.Marshal([]any{"key", r, "no", "[]", "[]"})
		if err != nil {
			t.Fatal(err)
		}
		want := sha256.Sum256(text)
		if got, err := identity(reports.Run{ID: 7, Key: "key", Suites: r, SuiteError: "no"}, "[]", "[]"); err != nil || !bytes.Equal(got, want[:]) {
			t.Errorf("%s: %x, %v", text, got, err)
		}
	}
}

// fill sets every zero field, except slices of types that it does not know.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		if !f.IsZero() {
			continue
		}
		switch f.Interface().(type) {
		case time.Time:
			f.Set(reflect.ValueOf(sample.Noon))
		case []string:
			f.Set(reflect.ValueOf([]string{"a", "b"}))
		case []reports.SuiteFailure:
			f.Set(reflect.ValueOf([]reports.SuiteFailure{{Node: "BeforeSuite", Message: "no", File: "a.go", Line: 3}}))
		case []reports.Benchmark:
			f.Set(reflect.ValueOf([]reports.Benchmark{{Name: "Add", Unit: "sec/op", Values: []float64{1e-9, 2e-9}}}))
		case []reports.Fact:
			f.Set(reflect.ValueOf([]reports.Fact{{Name: "host", Value: "a"}}))
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString("text of " + v.Type().Field(i).Name)
		case reflect.Int, reflect.Int64:
			f.SetInt(int64(7 + i))
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Float64:
			f.SetFloat(1.5)
		}
	}
}

// appendTo is an environment variable. If it is set, this test program appends runs to the history
// that it names.
const appendTo = "FLUJO_HARNESS_TEST_APPEND_TO"

func TestTwoProcessesAppendAtOnce(t *testing.T) {
	const processes, runs = 3, 8
	if path := os.Getenv(appendTo); path != "" {
		h := open(t, path)
		for i := range runs {
			if _, err := h.Append(t.Context(), reports.Run{Key: fmt.Sprint(os.Getpid(), " ", i), Suites: sample.Results(20, sample.Spec(fmt.Sprint("of process ", os.Getpid()), reports.Passed))}); err != nil {
				t.Error(err)
			}
		}
		return
	}
	path := filepath.Join(t.TempDir(), "h.db") // does not exist: the processes also race to create it
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range processes {
		wait.Go(func() {
			child := exec.Command(program, "-test.run=^TestTwoProcessesAppendAtOnce$")
			child.Env = append(os.Environ(), appendTo+"="+path)
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wait.Wait()
	all, err := open(t, path).Latest(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != processes*runs {
		t.Errorf("%d runs, want %d", len(all), processes*runs)
	}
	for _, r := range all {
		if len(r.Suites.Specs) != 21 {
			t.Errorf("run %d has %d specs", r.ID, len(r.Suites.Specs))
		}
	}
}

// unzip returns the uncompressed content of a file in testdata.
func unzip(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// history-older1.db.gz and history-older6.db.gz were written by programs before the first release. They
// are refused, and no byte of them changes.
func TestOlderHistoriesAreRefusedUntouched(t *testing.T) {
	for _, name := range []string{"history-older1.db.gz", "history-older6.db.gz"} {
		path := filepath.Join(t.TempDir(), "h.db")
		before := unzip(t, name)
		if err := os.WriteFile(path, before, 0o644); err != nil {
			t.Fatal(err)
		}
		for what, open := range map[string]func(context.Context, string) (*History, error){"Open": Open, "OpenRecorded": OpenRecorded} {
			h, err := open(t.Context(), path)
			var older *OlderError
			if !errors.As(err, &older) || !OfFile(err) || !strings.Contains(err.Error(), path+" is in an older format") {
				t.Errorf("%s of %s: %v, error %v", what, name, h, err)
			}
		}
		after, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s was changed, error %v", name, err)
		}
	}
}

// history.db.gz has the format of the first migration and the content of history.json.gz. Every later
// program must read it; before the first release, -update writes it again after a change of the format.
func TestFormatIsReadable(t *testing.T) {
	var want []reports.Run
	if err := json.Unmarshal(unzip(t, "history.json.gz"), &want); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "h.db")
	if *sample.Update {
		writeFixture(t, want)
	}
	if err := os.WriteFile(path, unzip(t, "history.db.gz"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := open(t, path)
	got, err := h.Latest(t.Context(), 9)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	again := want[0]
	if added, err := h.Append(t.Context(), again); err != nil || !added.Known || added.ID != want[0].ID {
		t.Errorf("a run of the file is not recognised: %+v, %v", added, err)
	}
	again.Suites.Specs[0].Attachments = []reports.Attachment{{Name: "log", Path: "out/a.log"}}
	if added, err := h.Append(t.Context(), again); err != nil || !added.Known {
		t.Errorf("equal results with attachments are another run: %+v, %v", added, err)
	}
	again.Commit = "1a2b3c4"
	added, err := h.Append(t.Context(), again)
	if err != nil || added.Known {
		t.Fatal(added, err)
	}
	if r, err := h.Load(t.Context(), added.ID); err != nil || len(r.Suites.Specs[0].Attachments) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// writeFixture writes history.db.gz with the given runs, the newest first.
func writeFixture(t *testing.T, runs []reports.Run) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "h.db")
	h, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range slices.Backward(runs) {
		if added, err := h.Append(t.Context(), r); err != nil || added.ID != r.ID {
			t.Fatal(added, err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", "history.db.gz"), zipped.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A flipped bit in the file is an error or has no effect, but never changes a result. SQLite itself
// detects less than half of such flips.
func TestFlippedBits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "whole.db")
	h, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	r := reports.Run{Started: sample.Noon, Commit: "854f075", Branch: "main", Suites: sample.Gomega(t, sample.March, ingest.ReadGinkgo), Comparisons: sample.Comparisons(1)}
	r.Suites.Specs = r.Suites.Specs[:120]
	if _, err := h.Append(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := open(t, path).Latest(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	detected, same := 0, 0
	for range 300 {
		at, bit := 100+random.IntN(len(sound)-100), random.IntN(8)
		bad := bytes.Clone(sound)
		bad[at] ^= 1 << bit
		path := filepath.Join(dir, "bad.db")
		for _, name := range []string{path + "-wal", path + "-shm"} {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t.Context(), path)
		switch {
		case err != nil:
			detected++
		case cmp.Equal(want, got):
			same++
		default:
			t.Errorf("bit %d of byte %d: no error and another result: %s", bit, at, cmp.Diff(want, got))
		}
	}
	t.Logf("of 300 flips %d were detected and %d had no effect", detected, same)
	if detected < 20 {
		t.Errorf("only %d of 300 flips were detected: are the checksums compared?", detected)
	}
}

func readAll(ctx context.Context, path string) ([]reports.Run, error) {
	h, err := Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return h.Latest(ctx, 10)
}

func TestDamagedHistory(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.db")
	h, err := Open(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Append(t.Context(), reports.Run{Suites: sample.Gomega(t, sample.March, ingest.ReadGinkgo)}); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	noise := func(from, to int) []byte {
		b := bytes.Clone(sound)
		for i := from; i < to; i++ {
			b[i] = byte(i * 31)
		}
		return b
	}
	for name, content := range map[string][]byte{
		"not a database":     []byte(strings.Repeat("this is a diary\n", 500)),
		"short text":         []byte("hello"),
		"pages overwritten":  noise(len(sound)/2, len(sound)/2+3*4096),
		"truncated":          sound[:len(sound)/2],
		"schema overwritten": noise(100, 4096),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "h.db")
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			h, err := Open(t.Context(), path)
			var damaged *DamagedError
			if !errors.As(err, &damaged) {
				if h != nil {
					_ = h.Close()
				}
				t.Fatalf("err = %v, want a DamagedError", err)
			}
			if damaged.Path != path || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), "--db") {
				t.Errorf("the error names no remedy: %v", err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(content, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestNewerHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	if _, err := open(t, path).db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path)
	var newer *sqlitedb.ErrNewer
	if !errors.As(err, &newer) || newer.Has != 99 || newer.Know != 1 {
		t.Errorf("err = %v, want ErrNewer with both numbers", err)
	}
}

// No byte of the file changes, not even its journal mode.
func TestDatabaseOfAnotherProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := sqlitedb.Open(path, sqlitedb.Process)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("PRAGMA journal_mode = DELETE; CREATE TABLE wages (amount INTEGER)"); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var foreign *ForeignError
	if _, err := Open(t.Context(), path); !errors.As(err, &foreign) {
		t.Errorf("err = %v, want a ForeignError", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, error %v", err)
	}
	var tables int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil || tables != 1 {
		t.Errorf("%d tables, %v: the database was changed", tables, err)
	}
}

func TestHistoryThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"its folder is a file":         filepath.Join(file, "h.db"),
		"a parent folder is a file":    filepath.Join(file, "a", "b", "h.db"),
		"the path is that of a folder": t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Open(t.Context(), path)
			var unwritable *UnwritableError
			if !errors.As(err, &unwritable) {
				if h != nil {
					_ = h.Close()
				}
				t.Fatalf("err = %v, want an UnwritableError", err)
			}
			if !strings.Contains(err.Error(), "--db") {
				t.Errorf("the error names no remedy: %v", err)
			}
		})
	}
}

func TestReadOnlyHistory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("permission bits do not restrict root")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "h.db")
	h, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(readOnly bool) error{
		"file":   func(ro bool) error { return os.Chmod(path, map[bool]os.FileMode{true: 0o444, false: 0o644}[ro]) },
		"folder": func(ro bool) error { return os.Chmod(dir, map[bool]os.FileMode{true: 0o555, false: 0o755}[ro]) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := set(true); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := set(false); err != nil {
					t.Error(err)
				}
			}()
			var unwritable *UnwritableError
			if _, err := Open(t.Context(), path); !errors.As(err, &unwritable) {
				t.Errorf("err = %v, want an UnwritableError", err)
			}
		})
	}
}

// SQLite waits for a lock that is not released, until its busy timeout.
func TestHistoryInUse(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the busy timeout of 5 s")
	}
	path := filepath.Join(t.TempDir(), "h.db")
	tx, err := open(t, path).db.Begin() // BEGIN IMMEDIATE takes the write lock
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var inUse *InUseError
	if _, err := Open(t.Context(), path); !errors.As(err, &inUse) {
		t.Errorf("err = %v, want an InUseError", err)
	}
}

// A locked file is intact: no error may advise the user to move it away.
func TestLockedHistoryIsNotDamaged(t *testing.T) {
	h := &History{path: "h.db"}
	for code, want := range map[int]any{
		codeBusy: new(*InUseError), codeLocked: new(*InUseError), codeBusy | 2<<8: new(*InUseError),
		codeCorrupt: new(*DamagedError), codeNotADB: new(*DamagedError), codeCorrupt | 1<<8: new(*DamagedError),
		codeReadOnly: new(*UnwritableError), codeFull: new(*UnwritableError), codeCantOpen: new(*UnwritableError), codeIO: new(*UnwritableError),
	} {
		err := h.explain("open", fmt.Errorf("wrapped: %w", sqliteError(code)))
		if !errors.As(err, want) || !errors.Is(err, sqliteError(code)) {
			t.Errorf("code %d: %T %v, want %T", code, err, err, want)
		}
	}
	var inUse *InUseError
	if err := h.explain("open", sqliteError(codeBusy)); errors.As(err, &inUse) && !strings.Contains(err.Error(), "in use") {
		t.Errorf("the error does not mention the other process: %v", err)
	}
}

type sqliteError int

func (e sqliteError) Error() string { return fmt.Sprintf("code %d", int(e)) }
func (e sqliteError) Code() int     { return int(e) }

// The writer refuses values that the reader would refuse.
func TestNothingIsPackedThatIsTooLargeToRead(t *testing.T) {
	if packed, err := new(deflater).pack(make([]byte, maxInflated+1)); err == nil {
		t.Errorf("%d bytes were packed into %d, which cannot be unpacked", maxInflated+1, len(packed))
	}
}

// A run is found by its ID and by its digest, which is the same in every copy of the history.
func TestFind(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	for _, r := range sample.Cells("a:.", "b:F") {
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	lines, _, err := h.Lines(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	digest := lines[0].Digest
	for name, want := range map[string]int64{"1": 1, "2": 2, digest: 2, digest[:8]: 2, lines[1].Digest: 1} {
		if got, err := h.Find(t.Context(), name); got != want || err != nil {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "3", "-1", "x", digest[:7], "00000000", digest + "0", "%%%%%%%%", "________", strings.Repeat("a", 65)} {
		if got, err := h.Find(t.Context(), name); !errors.Is(err, ErrNoRun) {
			t.Errorf("%q: %d, %v", name, got, err)
		}
	}
}

// A run from the future does not stay the newest, and a run of unknown start is the newest when it is
// recorded.
func TestRecordedRunIsTheNewest(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	now := time.Now()
	for i, r := range []reports.Run{
		{Started: now.Add(-time.Hour)},
		{Started: now.Add(-9 * time.Hour), Undated: true}, // of a clock without a time zone
		{Started: now.AddDate(70, 0, 0)},
		{Started: now.Add(-2 * time.Hour)},
		{Started: now.AddDate(70, 0, 0)},
		{},
		{Started: now.Add(-3 * time.Hour)},
	} {
		r.Complete, r.Command = true, fmt.Sprint(i) // runs of equal content would be one run
		added, err := h.Append(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		latest, err := h.Latest(t.Context(), 1)
		if err != nil || latest[0].ID != added.ID {
			t.Errorf("after run %d the newest is %d, %v", added.ID, latest[0].ID, err)
		}
	}
}
