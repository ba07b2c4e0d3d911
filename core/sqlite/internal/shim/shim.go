// Package shim calls and replaces functions of SQLite's file systems, for code that counts or
// breaks file operations of a database. SQLite calls functions through pointers, which must point
// to functions of a package: a closure could be collected while C code still has it.
package shim

import (
	"unsafe"

	"modernc.org/libc"
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
