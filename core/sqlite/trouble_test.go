package sqlite

import (
	"strings"
	"testing"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// In the past errors of the disk were the plain messages of SQLite, which named neither the file
// nor a remedy.
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
		"a save on a full disk":         {opWrite, lib.SQLITE_FULL, save, "free some space"},
		"a save that cannot be synced":  {opSync, lib.SQLITE_IOERR_FSYNC, save, "the system could not read or write"},
		"a read that fails":             {opRead, lib.SQLITE_IOERR_READ, load, "the system could not read or write"},
		"a read without a descriptor":   {opOpen, lib.SQLITE_CANTOPEN, load, "the limit on open files"},
	} {
		t.Run(name, func(t *testing.T) {
			b, armed := openArmed(t, func(op fileOp) int32 {
				if op.op == tc.op {
					return tc.code
				}
				return lib.SQLITE_OK
			})
			armed.Store(true)
			err := tc.use(b)
			armed.Store(false)
			if err == nil || sqlitedb.Code(err)&0xff != int(tc.code)&0xff || !strings.Contains(err.Error(), b.path) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want one of code %d that names %s and says %q", err, tc.code, b.path, tc.says)
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
