// Package shim calls and replaces functions of SQLite's file systems, for code that counts or
// breaks file operations of a database. SQLite calls functions through pointers, which must point
// to functions of a package: a closure could be collected while C code still has it.
package shim

import (
	"fmt"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// Types of the functions of a file system and its files.
type (
	OpenFunc  = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	WriteFunc = func(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32
	SyncFunc  = func(tls *libc.TLS, file uintptr, flags int32) int32
	CloseFunc = func(tls *libc.TLS, file uintptr) int32
)

// At returns a pointer to the value at an address outside Go's memory.
func At[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// Function returns the function at a function pointer of SQLite as a Go function.
func Function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ f uintptr }{p})) }

// Pointer returns a pointer to a function of a package, for SQLite to call.
func Pointer(f any) uintptr {
	return (*[2]uintptr)(unsafe.Pointer(&f))[1]
}

// Derive registers a file system with SQLite: a copy of the one below, which change may change
// before it is registered. The empty name is that of the default file system. SQLite keeps a file
// system as long as the process.
func Derive(below, name string, change func(*lib.Tsqlite3_vfs)) error {
	tls := libc.NewTLS()
	defer tls.Close()
	var zName uintptr
	if below != "" {
		text, err := libc.CString(below)
		if err != nil {
			return err
		}
		defer libc.Xfree(tls, text)
		zName = text
	}
	found := lib.Xsqlite3_vfs_find(tls, zName)
	if found == 0 {
		return fmt.Errorf("SQLite has no file system %q", below)
	}
	text, err := libc.CString(name)
	if err != nil {
		return err
	}
	v := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_vfs{})))
	if v == 0 {
		return fmt.Errorf("no memory for the file system %q", name)
	}
	vfs := At[lib.Tsqlite3_vfs](v)
	*vfs = *At[lib.Tsqlite3_vfs](found)
	vfs.FzName, vfs.FpNext = text, 0
	change(vfs)
	if rc := lib.Xsqlite3_vfs_register(tls, v, 0); rc != lib.SQLITE_OK {
		return fmt.Errorf("SQLite does not accept the file system %q: code %d", name, rc)
	}
	return nil
}
