package sqlitebench

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/sqlite/internal/shim"
)

// ioCounter counts what this process writes to the files of one database. It is safe for concurrent
// use.
type ioCounter struct {
	path                 string
	writes, bytes, syncs atomic.Int64
	logged               atomic.Int64 // bytes of frames in the log
}

func (c *ioCounter) stats() corebench.IOStats {
	return corebench.IOStats{Writes: c.writes.Load(), Bytes: c.bytes.Load(), Pages: c.logged.Load() / frame, Syncs: c.syncs.Load()}
}

// countIO starts to count what is written to the database at path through countingVFS, until stop
// is called.
func countIO(path string) (c *ioCounter, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil { // SQLite resolves links in the names of its files
		abs = filepath.Join(dir, filepath.Base(abs))
	}
	if err := registerCounting(); err != nil {
		return nil, err
	}
	c = &ioCounter{path: abs}
	if _, taken := counting.LoadOrStore(abs, c); taken {
		return nil, errors.New("open database " + path + ": its writes are counted already")
	}
	return c, nil
}

// stop ends the counting.
func (c *ioCounter) stop() { counting.Delete(c.path) }

// The counting VFS is a copy of the system's default VFS. It replaces the methods of its files for
// writing, syncing and closing.

const countingVFS = "flujo-counting"

// Sizes in the log, in bytes: of its header, and of a frame, which is a header and a page.
const (
	logHeader = 32
	frame     = 24 + 4096
)

var (
	counting  sync.Map // path to *ioCounter
	openFiles sync.Map // address to *countedFile

	systemOpen shim.OpenFunc
)

// countedFile is an open file with its original methods.
type countedFile struct {
	counter  *ioCounter
	log      bool
	original *lib.Tsqlite3_io_methods
	replaced uintptr
}

var registerCounting = sync.OnceValue(func() error {
	return shim.Derive("", countingVFS, func(vfs *lib.Tsqlite3_vfs) {
		systemOpen = shim.Function[shim.OpenFunc](vfs.FxOpen)
		vfs.FxOpen = shim.Pointer(countedOpen)
	})
})

func countedOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := systemOpen(tls, vfs, name, file, flags, out)
	methods := shim.At[lib.Tsqlite3_file](file).FpMethods
	if rc != lib.SQLITE_OK || methods == 0 || name == 0 {
		return rc
	}
	path := libc.GoString(name)
	base := strings.TrimSuffix(strings.TrimSuffix(path, "-wal"), "-journal")
	c, ok := counting.Load(base)
	if !ok {
		return rc
	}
	copied := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
	if copied == 0 {
		return rc
	}
	f := &countedFile{c.(*ioCounter), strings.HasSuffix(path, "-wal"), shim.At[lib.Tsqlite3_io_methods](methods), copied}
	m := shim.At[lib.Tsqlite3_io_methods](copied)
	*m = *f.original
	m.FxWrite, m.FxSync, m.FxClose = shim.Pointer(countedWrite), shim.Pointer(countedSync), shim.Pointer(countedClose)
	openFiles.Store(file, f)
	shim.At[lib.Tsqlite3_file](file).FpMethods = copied
	return rc
}

func counted(file uintptr) *countedFile {
	f, _ := openFiles.Load(file)
	return f.(*countedFile)
}

func countedWrite(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	f := counted(file)
	f.counter.writes.Add(1)
	f.counter.bytes.Add(int64(n))
	if f.log && n != logHeader {
		f.counter.logged.Add(int64(n))
	}
	return shim.Function[shim.WriteFunc](f.original.FxWrite)(tls, file, data, n, offset)
}

func countedSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := counted(file)
	f.counter.syncs.Add(1)
	return shim.Function[shim.SyncFunc](f.original.FxSync)(tls, file, flags)
}

func countedClose(tls *libc.TLS, file uintptr) int32 {
	f := counted(file)
	openFiles.Delete(file)
	rc := shim.Function[shim.CloseFunc](f.original.FxClose)(tls, file)
	libc.Xfree(tls, f.replaced)
	return rc
}
