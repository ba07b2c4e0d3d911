// Package shim calls and replaces functions of SQLite's file systems: for what counts, or
// breaks, the files of a database. SQLite calls functions through pointers, which must be
// those of a package: a closure may be collected while C code has it.
package shim

import (
	"unsafe"

	"modernc.org/libc"
)

// Functions of a file system and of its files.
type (
	OpenFunc  = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	WriteFunc = func(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32
	SyncFunc  = func(tls *libc.TLS, file uintptr, flags int32) int32
	CloseFunc = func(tls *libc.TLS, file uintptr) int32
)

// At is what lies at an address outside Go's memory.
func At[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// Function is what lies at a pointer to a function of SQLite, as Go calls it.
func Function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ f uintptr }{p})) }

// Pointer is a function of a package as SQLite calls it.
func Pointer(f any) uintptr {
	return (*[2]uintptr)(unsafe.Pointer(&f))[1]
}
