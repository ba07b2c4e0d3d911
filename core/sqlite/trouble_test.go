package sqlite

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
)

// Errors of the disk were SQLite's bare words: which file it was, and what to do, nobody
// was told.
func TestDiskErrorsAreNotBare(t *testing.T) {
	save := func(b *Backend) error { return saveRuns(b, 1, 2) }
	load := func(b *Backend) error {
		_, err := b.Load(t.Context(), core.RunKey{Run: "0"})
		return err
	}
	for name, tc := range map[string]struct {
		op   string
		code int32
		use  func(*Backend) error
		says string
	}{
		"a save that cannot be written": {opWrite, lib.SQLITE_IOERR_WRITE, save, "the system could not read or write"},
		"a save on a full disk":         {opWrite, lib.SQLITE_FULL, save, "make room"},
		"a save that cannot be synced":  {opSync, lib.SQLITE_IOERR_FSYNC, save, "the system could not read or write"},
		"a read that fails":             {opRead, lib.SQLITE_IOERR_READ, load, "the system could not read or write"},
		"a read without a descriptor":   {opOpen, lib.SQLITE_CANTOPEN, load, "how many files may be open"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "r.db")
			var armed atomic.Bool
			b, err := openTapped(t.Context(), path, Power, func(op fileOp) int32 {
				if armed.Load() && op.op == tc.op {
					return tc.code
				}
				return lib.SQLITE_OK
			})
			if err != nil {
				t.Fatal(err)
			}
			defer taps.Delete(path)
			if err := saveRuns(b, 0, 1); err != nil {
				t.Fatal(err)
			}
			armed.Store(true)
			err = tc.use(b)
			armed.Store(false)
			if err == nil || code(err)&0xff != int(tc.code)&0xff || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want one of code %d that names %s and says %q", err, tc.code, path, tc.says)
			}
			if err := tc.use(b); err != nil {
				t.Errorf("the cause is gone, and %v", err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
