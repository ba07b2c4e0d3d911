package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// Traffic counts what one database writes to its files, whoever of this process
// writes it. It is safe for concurrent use.
type Traffic struct {
	path                        string
	writes, bytes, pages, syncs atomic.Int64
}

// TrafficCounts is a reading of [Traffic].
type TrafficCounts struct {
	Writes int64 // calls
	Bytes  int64
	Pages  int64 // put into the log
	Syncs  int64
}

// Counts reads the counters.
func (t *Traffic) Counts() TrafficCounts {
	return TrafficCounts{t.writes.Load(), t.bytes.Load(), t.pages.Load(), t.syncs.Load()}
}

// OpenCounted opens a database as [Open] does, and counts all that is written to it
// until the backend is closed and [Traffic.Stop] called. It is slower, and does the same.
func OpenCounted(ctx context.Context, path string, d sqlitedb.Durability) (*Backend, *Traffic, error) {
	if err := d.Check(); err != nil {
		return nil, nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil { // as SQLite names its files
		abs = filepath.Join(dir, filepath.Base(abs))
	}
	if err := registerCounting(); err != nil {
		return nil, nil, err
	}
	t := &Traffic{path: abs}
	if _, taken := counting.LoadOrStore(abs, t); taken {
		return nil, nil, errors.New("open database " + path + ": its traffic is counted already")
	}
	b, err := open(ctx, path, d, probe.Probe{VFS: countingVFS})
	if err != nil {
		t.Stop()
		return nil, nil, err
	}
	return b, t, nil
}

// Stop ends the counting.
func (t *Traffic) Stop() { counting.Delete(t.path) }

// A shim between SQLite and the files: the system's own VFS, whose files have their
// methods for writing and syncing replaced. SQLite calls it through pointers to functions,
// which must be those of the package: a closure may be collected while C code has it.

const countingVFS = "flujo-counting"

// walFrameHeader is the size of what SQLite writes before each page of the log.
const walFrameHeader = 24

type (
	openFunc  = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	writeFunc = func(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32
	syncFunc  = func(tls *libc.TLS, file uintptr, flags int32) int32
	closeFunc = func(tls *libc.TLS, file uintptr) int32
)

var (
	counting  sync.Map // of *Traffic, by path
	openFiles sync.Map // of *countedFile, by their address

	registering sync.Once
	registered  atomic.Bool
	systemOpen  openFunc
)

// countedFile is an open file with the methods that it had.
type countedFile struct {
	traffic  *Traffic
	log      bool
	original *lib.Tsqlite3_io_methods
	replaced uintptr
}

var errNoVFS = errors.New("count the traffic of a database: SQLite does not take the VFS that counts")

func registerCounting() error {
	registering.Do(func() {
		tls := libc.NewTLS()
		defer tls.Close()
		system := lib.Xsqlite3_vfs_find(tls, 0)
		name, err := libc.CString(countingVFS)
		if system == 0 || err != nil {
			return
		}
		v := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_vfs{})))
		if v == 0 {
			return
		}
		vfs := at[lib.Tsqlite3_vfs](v)
		*vfs = *at[lib.Tsqlite3_vfs](system)
		systemOpen = function[openFunc](vfs.FxOpen)
		vfs.FzName, vfs.FpNext, vfs.FxOpen = name, 0, pointer(countedOpen)
		registered.Store(lib.Xsqlite3_vfs_register(tls, v, 0) == lib.SQLITE_OK)
	})
	if !registered.Load() {
		return errNoVFS
	}
	return nil
}

// at is what lies at an address outside Go's memory.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// function is what lies at a pointer to a function of SQLite, as Go calls it.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ f uintptr }{p})) }

// pointer is a function of the package as SQLite calls it.
func pointer(f any) uintptr {
	return (*[2]uintptr)(unsafe.Pointer(&f))[1]
}

func countedOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := systemOpen(tls, vfs, name, file, flags, out)
	methods := at[lib.Tsqlite3_file](file).FpMethods
	if rc != lib.SQLITE_OK || methods == 0 || name == 0 {
		return rc
	}
	path := libc.GoString(name)
	base := strings.TrimSuffix(strings.TrimSuffix(path, "-wal"), "-journal")
	t, ok := counting.Load(base)
	if !ok {
		return rc
	}
	copied := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
	if copied == 0 {
		return rc
	}
	f := &countedFile{t.(*Traffic), strings.HasSuffix(path, "-wal"), at[lib.Tsqlite3_io_methods](methods), copied}
	m := at[lib.Tsqlite3_io_methods](copied)
	*m = *f.original
	m.FxWrite, m.FxSync, m.FxClose = pointer(countedWrite), pointer(countedSync), pointer(countedClose)
	openFiles.Store(file, f)
	at[lib.Tsqlite3_file](file).FpMethods = copied
	return rc
}

func counted(file uintptr) *countedFile {
	f, _ := openFiles.Load(file)
	return f.(*countedFile)
}

func countedWrite(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	f := counted(file)
	f.traffic.writes.Add(1)
	f.traffic.bytes.Add(int64(n))
	if f.log && n == walFrameHeader {
		f.traffic.pages.Add(1)
	}
	return function[writeFunc](f.original.FxWrite)(tls, file, data, n, offset)
}

func countedSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := counted(file)
	f.traffic.syncs.Add(1)
	return function[syncFunc](f.original.FxSync)(tls, file, flags)
}

func countedClose(tls *libc.TLS, file uintptr) int32 {
	f := counted(file)
	openFiles.Delete(file)
	rc := function[closeFunc](f.original.FxClose)(tls, file)
	libc.Xfree(tls, f.replaced)
	return rc
}
