package sqlitedb

import (
	"path/filepath"
	"syscall"
	"unsafe"
)

var getDriveType = syscall.NewLazyDLL("kernel32.dll").NewProc("GetDriveTypeW")

// Values that GetDriveTypeW returns.
const (
	driveUnknown = 0
	driveNoRoot  = 1
	driveRemote  = 4
)

// filesystem determines the kind of drive of dir.
func filesystem(dir string) (string, storage, error) {
	root, err := syscall.UTF16PtrFromString(filepath.VolumeName(dir) + `\`)
	if err != nil {
		return "", unknownStorage, err
	}
	kind, _, _ := getDriveType.Call(uintptr(unsafe.Pointer(root)))
	switch kind {
	case driveUnknown, driveNoRoot:
		return "", unknownStorage, nil
	case driveRemote:
		return "a network drive", otherMachine, nil
	}
	return "", localDisk, nil
}
