package sqlite

import (
	"fmt"
	"path/filepath"
)

// overNetwork are file systems of other machines, by the numbers that statfs(2) gives.
// Two machines share no memory, by which the users of a write-ahead log agree. A file
// system that another program of this machine serves (FUSE, 9p, virtiofs) is not among
// them: it may be as good as a disk.
var overNetwork = map[uint32]string{
	0x6969: "NFS", 0x517b: "SMB", 0xff534d42: "CIFS", 0xfe534d42: "SMB2", 0x5346414f: "AFS", 0x6b414653: "AFS", 0x73757245: "Coda",
	0x564c: "NCP", 0x00c36400: "Ceph", 0x0bd00bd0: "Lustre", 0x47504653: "GPFS",
}

// refuseNetwork refuses a database on the file system of another machine, where that
// can be found out.
func refuseNetwork(path string, kind func(dir string) (uint32, error)) error {
	n, err := kind(filepath.Dir(path))
	if err != nil {
		return nil // opening will say what is wrong
	}
	if name, ok := overNetwork[n]; ok {
		return fmt.Errorf("open database %s: it is on %s, a file system of another machine, where saves can be lost and the file damaged: name a file on a local disk", path, name)
	}
	return nil
}
