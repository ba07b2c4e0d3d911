// Package walvfs is a file system for SQLite that writes the frames of a transaction to the
// write-ahead log with one call.
//
// SQLite writes each frame with two calls, one for its header and one for its page. Here they are
// collected until the last frame of the transaction, which says in its header that it is the last.
// They are written before the write of that frame returns. So if this fails, SQLite learns it before
// it syncs the log, tells other connections about the transaction, or reports it as committed.
//
// If the pages of a transaction do not fit into the cache, SQLite writes some of them before its end.
// These are collected too. They are written before SQLite reads from the log, and forgotten if the
// transaction is rolled back: once the write lock is released, another process may write its own
// frames at the same place.
//
// Everything else is left to the file system below, usually the default one of SQLite.
package walvfs

import (
	"encoding/binary"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core/sqlite/internal/shim"
)

const (
	frameHeader = 24 // size of the header of a frame, in bytes
	// Maximum number of bytes that are collected. SQLite writes at most 131,071 bytes with one call
	// and takes 131,072 for a full disk: seekAndWriteFd in its os_unix.c.
	room = 31 * (frameHeader + 4096)
)

// file is an open database or log. It is stored after the data of the file system below, and SQLite
// uses it as the table of methods of the open file.
type file struct {
	lib.Tsqlite3_io_methods
	below  uintptr // the table of methods of the file system below
	log    uintptr // of a database: its open log, or 0
	db     uintptr // of a log: its database
	buffer uintptr // of a log: room bytes of memory
	filled int64   // number of bytes that are collected
	end    int64   // offset behind the last write, or -1
	last   bool    // the last header was that of the last frame of a transaction
}

// of returns an open file.
func of(id uintptr) *file { return shim.At[file](shim.At[lib.Tsqlite3_file](id).FpMethods) }

// system is a file system below.
type system struct {
	open shim.OpenFunc
	size uintptr // of its data of an open file
}

// These are kept as long as the process, as SQLite keeps its file systems.
var (
	mu      sync.Mutex
	names   = map[string]string{}  // of the file systems above, by the names of those below
	systems = map[uintptr]system{} // by the addresses of the file systems above
)

// Over returns the name of a file system above the one with the given name, for the parameter vfs of
// a URI. The empty name is that of SQLite's default.
func Over(below string) (string, error) {
	mu.Lock()
	defer mu.Unlock()
	if name, ok := names[below]; ok {
		return name, nil
	}
	name := "flujo-wal"
	if below != "" {
		name += "-" + below
	}
	err := shim.Derive(below, name, func(vfs *lib.Tsqlite3_vfs) {
		s := system{shim.Function[shim.OpenFunc](vfs.FxOpen), (uintptr(vfs.FszOsFile) + 7) &^ 7}
		vfs.FxOpen, vfs.FszOsFile = shim.Pointer(open), int32(s.size+unsafe.Sizeof(file{}))
		systems[uintptr(unsafe.Pointer(vfs))] = s
	})
	if err != nil {
		return "", err
	}
	names[below] = name
	return name, nil
}

func open(tls *libc.TLS, vfs, name, id uintptr, flags int32, out uintptr) int32 {
	mu.Lock()
	s := systems[vfs]
	mu.Unlock()
	rc := s.open(tls, vfs, name, id, flags, out)
	isLog := flags&lib.SQLITE_OPEN_WAL != 0
	if rc != lib.SQLITE_OK || !isLog && flags&lib.SQLITE_OPEN_MAIN_DB == 0 {
		return rc
	}
	opened := shim.At[lib.Tsqlite3_file](id)
	f := shim.At[file](id + s.size)
	*f = file{Tsqlite3_io_methods: *shim.At[lib.Tsqlite3_io_methods](opened.FpMethods), below: opened.FpMethods, end: -1}
	opened.FpMethods = id + s.size
	if !isLog {
		f.FxShmLock = shim.Pointer(shmLock)
		return rc
	}
	f.FxWrite, f.FxRead, f.FxClose = shim.Pointer(write), shim.Pointer(read), shim.Pointer(closeLog)
	f.db, f.buffer = lib.Xsqlite3_database_file_object(tls, name), libc.Xmalloc(tls, room)
	of(f.db).log = id
	if f.buffer == 0 {
		closeLog(tls, id)
		opened.FpMethods = 0
		return lib.SQLITE_NOMEM
	}
	return rc
}

// methods returns the methods of the file system below.
func (f *file) methods() *lib.Tsqlite3_io_methods { return shim.At[lib.Tsqlite3_io_methods](f.below) }

// write collects what continues the last write, and writes everything else. So it collects the frames
// that are appended, but not a header that is changed later.
func write(tls *libc.TLS, id, data uintptr, n int32, offset int64) int32 {
	f, size := of(id), int64(n)
	if size == frameHeader {
		sizeAfter := unsafe.Slice(shim.At[byte](data+4), 4) // pages of the database, 0 in all frames but the last
		f.last = binary.BigEndian.Uint32(sizeAfter) != 0
	}
	if offset != f.end || f.filled+size > room {
		if rc := flush(tls, id); rc != lib.SQLITE_OK {
			return rc
		}
	}
	if offset != f.end || size > room {
		f.end = offset + size
		return shim.Function[shim.WriteFunc](f.methods().FxWrite)(tls, id, data, n, offset)
	}
	libc.Xmemcpy(tls, f.buffer+uintptr(f.filled), data, libc.Tsize_t(size))
	f.filled += size
	f.end += size
	if size == frameHeader || !f.last {
		return lib.SQLITE_OK
	}
	rc := flush(tls, id)
	if rc != lib.SQLITE_OK {
		f.forget() // SQLite rolls the transaction back
	}
	return rc
}

// flush writes what is collected. If that fails, it remains collected, because the transaction may
// go on after some errors.
func flush(tls *libc.TLS, id uintptr) int32 {
	f := of(id)
	if f.filled == 0 {
		return lib.SQLITE_OK
	}
	rc := shim.Function[shim.WriteFunc](f.methods().FxWrite)(tls, id, f.buffer, int32(f.filled), f.end-f.filled)
	if rc == lib.SQLITE_OK {
		f.filled = 0
	}
	return rc
}

// forget drops what is collected.
func (f *file) forget() { f.filled, f.end = 0, -1 }

func read(tls *libc.TLS, id, data uintptr, n int32, offset int64) int32 {
	if rc := flush(tls, id); rc != lib.SQLITE_OK {
		return rc
	}
	return shim.Function[shim.WriteFunc](of(id).methods().FxRead)(tls, id, data, n, offset)
}

func closeLog(tls *libc.TLS, id uintptr) int32 {
	f := of(id)
	of(f.db).log = 0
	libc.Xfree(tls, f.buffer)
	return shim.Function[shim.CloseFunc](f.methods().FxClose)(tls, id)
}

// shmLock forgets the frames of a transaction that was not committed before it releases the write
// lock, which is the first of the locks.
func shmLock(tls *libc.TLS, id uintptr, first, n, flags int32) int32 {
	f := of(id)
	if first == 0 && flags&lib.SQLITE_SHM_UNLOCK != 0 && f.log != 0 && of(f.log).filled > 0 {
		of(f.log).forget()
	}
	return shim.Function[func(*libc.TLS, uintptr, int32, int32, int32) int32](f.methods().FxShmLock)(tls, id, first, n, flags)
}
