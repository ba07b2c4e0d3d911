//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package harness

import (
	"os"
	"syscall"
)

// lock locks the file until it is closed; false where somebody else has it locked, or where
// the file system has no locks. The lock belongs to the open file: the numbers of processes
// differ between containers that share a folder, and are used again.
func lock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
