//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package workdir

import (
	"os"
	"syscall"
)

// lock locks the file until it is closed. It returns false if another open file has the lock, or if
// the file system has no locks. The lock belongs to the open file, not to a process number: those
// differ between containers that share a folder, and are reused.
func lock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
