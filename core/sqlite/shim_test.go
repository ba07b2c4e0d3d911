package sqlite

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
	"github.com/flujo/flujo-harness/core/sqlite/internal/shim"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// The shim is a VFS between SQLite and the files of a test, similar to the one in
// sqlitebench/iostats.go. It passes every operation to the test before executing it, and lets the
// test make it fail.

const shimVFS = "flujo-shim"

// The operations of the VFS.
const (
	opOpen     = "open"
	opDelete   = "delete"
	opAccess   = "access"
	opRead     = "read"
	opWrite    = "write"
	opTruncate = "truncate"
	opSync     = "sync"
	opFileSize = "size"
	opLock     = "lock"
	opShmMap   = "shmmap"
	opShmLock  = "shmlock"
)

// fileOp is one operation. Its data is in memory of SQLite and must be copied to be kept.
type fileOp struct {
	op   string
	end  string // suffix of the file's name: "", "-wal", "-shm", "-journal"
	at   int64  // offset of a write, or size of a truncate
	data []byte // data of a write
}

// tap is called for each operation on one database, by any goroutine. If it returns a code other
// than SQLITE_OK, the operation is not executed and returns that code.
type tap func(fileOp) int32

var (
	taps        sync.Map // path to tap
	shimFiles   sync.Map // address to *shimFile
	shimOpen    shim.OpenFunc
	shimDelete  func(tls *libc.TLS, vfs, name uintptr, dir int32) int32
	shimAccess  func(tls *libc.TLS, vfs, name uintptr, flags int32, out uintptr) int32
	readOnlyFor sync.Map // paths of databases that are read-only, as on a file system mounted read-only
)

type shimFile struct {
	path, end string
	original  *lib.Tsqlite3_io_methods
	replaced  uintptr
}

var registerShim = sync.OnceValue(func() error {
	return shim.Derive("", shimVFS, func(vfs *lib.Tsqlite3_vfs) {
		shimOpen = shim.Function[shim.OpenFunc](vfs.FxOpen)
		shimDelete = shim.Function[func(*libc.TLS, uintptr, uintptr, int32) int32](vfs.FxDelete)
		shimAccess = shim.Function[func(*libc.TLS, uintptr, uintptr, int32, uintptr) int32](vfs.FxAccess)
		vfs.FxOpen, vfs.FxDelete, vfs.FxAccess = shim.Pointer(tappedOpen), shim.Pointer(tappedDelete), shim.Pointer(tappedAccess)
	})
})

// openTapped opens a database whose operations are passed to f. These begin with the first
// operation after the database exists.
func openTapped(ctx context.Context, path string, d sqlitedb.Durability, f tap) (*Backend, error) {
	if err := registerShim(); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	taps.Store(abs, f)
	return open(ctx, path, d, probe.Probe{VFS: shimVFS})
}

// openArmed opens a database with run 0 saved. Its operations are passed to f while armed is set.
func openArmed(t *testing.T, f tap) (b *Backend, armed *atomic.Bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.db")
	armed = new(atomic.Bool)
	b, err := openTapped(t.Context(), path, sqlitedb.Power, func(op fileOp) int32 {
		if !armed.Load() {
			return lib.SQLITE_OK
		}
		return f(op)
	})
	t.Cleanup(func() { taps.Delete(path) })
	if err == nil {
		err = saveRuns(b, 0, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b, armed
}

// split cuts the suffix off a file's name.
func split(name string) (path, end string) {
	for _, end := range []string{"-wal", "-shm", "-journal"} {
		if path, ok := strings.CutSuffix(name, end); ok {
			return path, end
		}
	}
	return name, ""
}

func tapped(path string, op fileOp) int32 {
	f, ok := taps.Load(path)
	if !ok {
		return lib.SQLITE_OK
	}
	return f.(tap)(op)
}

func tappedOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	if name == 0 {
		return shimOpen(tls, vfs, name, file, flags, out)
	}
	path, end := split(libc.GoString(name))
	shim.At[lib.Tsqlite3_file](file).FpMethods = 0
	if rc := tapped(path, fileOp{op: opOpen, end: end}); rc != lib.SQLITE_OK {
		return rc
	}
	if _, ok := readOnlyFor.Load(path); ok {
		flags = flags&^(lib.SQLITE_OPEN_READWRITE|lib.SQLITE_OPEN_CREATE) | lib.SQLITE_OPEN_READONLY
	}
	rc := shimOpen(tls, vfs, name, file, flags, out)
	methods := shim.At[lib.Tsqlite3_file](file).FpMethods
	if rc != lib.SQLITE_OK || methods == 0 {
		return rc
	}
	copied := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
	f := &shimFile{path, end, shim.At[lib.Tsqlite3_io_methods](methods), copied}
	m := shim.At[lib.Tsqlite3_io_methods](copied)
	*m = *f.original
	m.FxClose, m.FxRead, m.FxWrite, m.FxTruncate = shim.Pointer(tappedClose), shim.Pointer(tappedRead), shim.Pointer(tappedWrite), shim.Pointer(tappedTruncate)
	m.FxSync, m.FxFileSize, m.FxLock = shim.Pointer(tappedSync), shim.Pointer(tappedFileSize), shim.Pointer(tappedLock)
	m.FxShmMap, m.FxShmLock = shim.Pointer(tappedShmMap), shim.Pointer(tappedShmLock)
	shimFiles.Store(file, f)
	shim.At[lib.Tsqlite3_file](file).FpMethods = copied
	return rc
}

func tappedDelete(tls *libc.TLS, vfs, name uintptr, dir int32) int32 {
	path, end := split(libc.GoString(name))
	if rc := tapped(path, fileOp{op: opDelete, end: end}); rc != lib.SQLITE_OK {
		return rc
	}
	return shimDelete(tls, vfs, name, dir)
}

func tappedAccess(tls *libc.TLS, vfs, name uintptr, flags int32, out uintptr) int32 {
	path, end := split(libc.GoString(name))
	if rc := tapped(path, fileOp{op: opAccess, end: end}); rc != lib.SQLITE_OK {
		return rc
	}
	return shimAccess(tls, vfs, name, flags, out)
}

func shimmed(file uintptr) *shimFile {
	f, _ := shimFiles.Load(file)
	return f.(*shimFile)
}

func (f *shimFile) tapped(op fileOp) int32 {
	op.end = f.end
	return tapped(f.path, op)
}

func tappedClose(tls *libc.TLS, file uintptr) int32 {
	f := shimmed(file)
	shimFiles.Delete(file)
	rc := shim.Function[shim.CloseFunc](f.original.FxClose)(tls, file)
	libc.Xfree(tls, f.replaced)
	return rc
}

func tappedRead(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	f := shimmed(file)
	if rc := f.tapped(fileOp{op: opRead, at: offset}); rc != lib.SQLITE_OK {
		return rc
	}
	return shim.Function[shim.WriteFunc](f.original.FxRead)(tls, file, data, n, offset)
}

func tappedWrite(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	f := shimmed(file)
	if rc := f.tapped(fileOp{op: opWrite, at: offset, data: unsafe.Slice(shim.At[byte](data), n)}); rc != lib.SQLITE_OK {
		return rc
	}
	return shim.Function[shim.WriteFunc](f.original.FxWrite)(tls, file, data, n, offset)
}

func tappedTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	f := shimmed(file)
	if rc := f.tapped(fileOp{op: opTruncate, at: size}); rc != lib.SQLITE_OK {
		return rc
	}
	return shim.Function[func(*libc.TLS, uintptr, int64) int32](f.original.FxTruncate)(tls, file, size)
}

func tappedSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := shimmed(file)
	if rc := f.tapped(fileOp{op: opSync}); rc != lib.SQLITE_OK {
		return rc
	}
	return shim.Function[shim.SyncFunc](f.original.FxSync)(tls, file, flags)
}

func tappedFileSize(tls *libc.TLS, file, size uintptr) int32 {
	f := shimmed(file)
	if rc := f.tapped(fileOp{op: opFileSize}); rc != lib.SQLITE_OK {
		return rc
	}
	return shim.Function[func(*libc.TLS, uintptr, uintptr) int32](f.original.FxFileSize)(tls, file, size)
}

func tappedLock(tls *libc.TLS, file uintptr, level int32) int32 {
	f := shimmed(file)
	if rc := f.tapped(fileOp{op: opLock}); rc != lib.SQLITE_OK {
		return rc
	}
	return shim.Function[shim.SyncFunc](f.original.FxLock)(tls, file, level)
}

func tappedShmMap(tls *libc.TLS, file uintptr, page, size, extend int32, out uintptr) int32 {
	f := shimmed(file)
	if rc := f.tapped(fileOp{op: opShmMap}); rc != lib.SQLITE_OK {
		return rc
	}
	return shim.Function[func(*libc.TLS, uintptr, int32, int32, int32, uintptr) int32](f.original.FxShmMap)(tls, file, page, size, extend, out)
}

func tappedShmLock(tls *libc.TLS, file uintptr, offset, n, flags int32) int32 {
	f := shimmed(file)
	// Releasing a lock does not fail.
	if flags&lib.SQLITE_SHM_UNLOCK == 0 {
		if rc := f.tapped(fileOp{op: opShmLock}); rc != lib.SQLITE_OK {
			return rc
		}
	}
	return shim.Function[func(*libc.TLS, uintptr, int32, int32, int32) int32](f.original.FxShmLock)(tls, file, offset, n, flags)
}

func TestShimSeesEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	var mu sync.Mutex
	seen := map[string]int{}
	b, err := openTapped(t.Context(), path, sqlitedb.Power, func(op fileOp) int32 {
		mu.Lock()
		defer mu.Unlock()
		seen[op.op]++
		return lib.SQLITE_OK
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := saveRuns(b, 0, 3); err != nil {
		t.Fatal(err)
	}
	if n := found(t, imitation(t, path, walBytes)); n != 3 {
		t.Errorf("%d saves found, want 3", n)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{opOpen, opDelete, opAccess, opRead, opWrite, opSync, opFileSize, opLock, opShmMap, opShmLock} {
		if seen[op] == 0 {
			t.Errorf("no %s was seen", op)
		}
	}
	t.Logf("%v", seen)
}
