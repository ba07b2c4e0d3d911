package sqlitedb

import (
	"fmt"
	"path/filepath"
)

// storage is what a database can rely on in its folder.
type storage int

const (
	unknownStorage storage = iota
	localDisk
	otherMachine // its users share no memory, by which those of a write-ahead log agree
	byProgram    // FUSE, 9p, virtiofs: as good as a disk, or a network behind a program
)

// linuxStorage are file systems by the numbers that statfs(2) gives. All others are
// local.
var linuxStorage = map[uint32]struct {
	name string
	is   storage
}{
	0x6969: {"NFS", otherMachine}, 0x517b: {"SMB", otherMachine}, 0xff534d42: {"CIFS", otherMachine}, 0xfe534d42: {"SMB2", otherMachine},
	0x5346414f: {"AFS", otherMachine}, 0x6b414653: {"AFS", otherMachine}, 0x73757245: {"Coda", otherMachine}, 0x564c: {"NCP", otherMachine},
	0x00c36400: {"Ceph", otherMachine}, 0x0bd00bd0: {"Lustre", otherMachine}, 0x47504653: {"GPFS", otherMachine},
	0x65735546: {"FUSE", byProgram}, 0x01021997: {"9p", byProgram},
}

// finder finds out what file system a folder is on.
type finder = func(dir string) (name string, is storage, err error)

// storageOf finds out what the file of a database lies on, or will when it is created.
// SQLite follows symbolic links.
func storageOf(path string, find finder) (name string, is storage, err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return find(filepath.Dir(path))
}

// refuseNetwork refuses a database on the file system of another machine.
func refuseNetwork(path string, find finder) error {
	name, is, err := storageOf(path, find)
	if err != nil || is != otherMachine {
		return nil // what could not be found out is one of [Warnings]
	}
	return fmt.Errorf("open database %s: it is on %s, a file system of another machine, where saves can be lost and the file damaged: name a file on a local disk", path, name)
}

// storageWarning says what could not be found out about the storage of a database.
func storageWarning(path string, find finder) string {
	name, is, err := storageOf(path, find)
	switch {
	case err != nil:
		return fmt.Sprintf("whether the database is on a local disk could not be found out (%v): saves can be lost on a file system of another machine", err)
	case is == unknownStorage:
		return "whether the database is on a local disk cannot be found out on this system: saves can be lost on a file system of another machine"
	case is == byProgram:
		return fmt.Sprintf("the database is on %s, a file system that another program serves: if files come from another machine (sshfs, a shared folder), saves can be lost; use a local disk", name)
	}
	return ""
}
