package sqlitedb

import "syscall"

// filesystem determines the file system of dir.
func filesystem(dir string) (string, storage, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "", unknownStorage, err
	}
	if known, ok := linuxStorage[uint32(s.Type)]; ok {
		return known.name, known.is, nil
	}
	return "", localDisk, nil
}
