package sqlitedb

import "syscall"

// storageByName are file systems by the names that macOS gives them. All others are local.
var storageByName = map[string]storage{
	"nfs": otherMachine, "smbfs": otherMachine, "afpfs": otherMachine, "webdav": otherMachine, "ftp": otherMachine,
	"macfuse": byProgram, "osxfuse": byProgram, "virtiofs": byProgram,
}

// filesystem finds out what file system dir is on.
func filesystem(dir string) (string, storage, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "", unknownStorage, err
	}
	var name []byte
	for _, c := range s.Fstypename {
		if c == 0 {
			break
		}
		name = append(name, byte(c))
	}
	if is, ok := storageByName[string(name)]; ok {
		return string(name), is, nil
	}
	return string(name), localDisk, nil
}
