package sqlitedb

import (
	"fmt"
	"path/filepath"
)

// storage classifies the file system of a database.
type storage int

const (
	unknownStorage storage = iota
	localDisk
	otherMachine // its users share no memory, which WAL needs (https://www.sqlite.org/wal.html)
	byProgram    // FUSE, 9p, virtiofs: possibly a local disk, possibly a network
)

// linuxStorage maps the f_type values of statfs(2). Other values count as local.
var linuxStorage = map[uint32]struct {
	name string
	is   storage
}{
	0x6969: {"NFS", otherMachine}, 0x517b: {"SMB", otherMachine}, 0xff534d42: {"CIFS", otherMachine}, 0xfe534d42: {"SMB2", otherMachine},
	0x5346414f: {"AFS", otherMachine}, 0x6b414653: {"AFS", otherMachine}, 0x73757245: {"Coda", otherMachine}, 0x564c: {"NCP", otherMachine},
	0x00c36400: {"Ceph", otherMachine}, 0x0bd00bd0: {"Lustre", otherMachine}, 0x47504653: {"GPFS", otherMachine},
	0x65735546: {"FUSE", byProgram}, 0x01021997: {"9p", byProgram},
}

// finder determines the file system of a folder.
type finder = func(dir string) (name string, is storage, err error)

// storageOf determines the file system of a database file, which need not exist yet. SQLite
// follows symbolic links, so storageOf does too.
func storageOf(path string, find finder) (name string, is storage, err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return find(filepath.Dir(path))
}

// refuseNetwork returns an error if the database is on a network file system.
func refuseNetwork(path string, find finder) error {
	name, is, err := storageOf(path, find)
	if err != nil || is != otherMachine {
		return nil // an unknown file system is reported by [Warnings]
	}
	return fmt.Errorf("open database %s: it is on %s, a network file system, where saves can be lost and the file damaged: name a file on a local disk", path, name)
}

// storageWarning returns a warning if the database may be on a network file system, or "".
func storageWarning(path string, find finder) string {
	name, is, err := storageOf(path, find)
	switch {
	case err != nil:
		return fmt.Sprintf("whether the database is on a local disk could not be determined (%v): saves can be lost on a network file system", err)
	case is == unknownStorage:
		return "whether the database is on a local disk cannot be determined on this system: saves can be lost on a network file system"
	case is == byProgram:
		return fmt.Sprintf("the database is on %s, a file system served by another program: if the files are on another machine (sshfs, a shared folder), saves can be lost; use a local disk", name)
	}
	return ""
}
