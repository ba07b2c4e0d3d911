package sqlitedb

import "syscall"

// storageByName maps the f_fstypename values of statfs(2) on macOS. Other names count as local.
var storageByName = map[string]storage{
	"nfs": otherMachine, "smbfs": otherMachine, "afpfs": otherMachine, "webdav": otherMachine, "ftp": otherMachine,
	"macfuse": byProgram, "osxfuse": byProgram, "virtiofs": byProgram,
}

// filesystem determines the file system of dir.
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
