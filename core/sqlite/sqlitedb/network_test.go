package sqlitedb

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func linux(number uint32) finder {
	return func(string) (string, storage, error) {
		if known, ok := linuxStorage[number]; ok {
			return known.name, known.is, nil
		}
		return "", localDisk, nil
	}
}

func TestStorageIsRefusedOrReported(t *testing.T) {
	failing := func(string) (string, storage, error) { return "", unknownStorage, errors.New("no answer") }
	unknown := func(string) (string, storage, error) { return "", unknownStorage, nil }
	for _, tc := range []struct {
		name             string
		find             finder
		refused, warning string
	}{
		{"NFS", linux(0x6969), "it is on NFS", ""},
		{"CIFS", linux(0xff534d42), "it is on CIFS", ""},
		{"ext4", linux(0xef53), "", ""},
		{"tmpfs", linux(0x01021994), "", ""},
		{"FUSE", linux(0x65735546), "", "it is on FUSE"},
		{"9p", linux(0x01021997), "", "it is on 9p"},
		{"error", failing, "", "no answer"},
		{"unknown", unknown, "", "cannot be determined"},
	} {
		err := refuseNetwork("/mnt/share/r.db", tc.find)
		if (err != nil) != (tc.refused != "") || err != nil && !(strings.Contains(err.Error(), tc.refused) && strings.Contains(err.Error(), "/mnt/share/r.db")) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.refused)
		}
		if tc.refused != "" {
			continue
		}
		text := storageWarning("/mnt/share/r.db", tc.find)
		if (text != "") != (tc.warning != "") || !strings.Contains(text, strings.TrimPrefix(tc.warning, "it ")) {
			t.Errorf("%s: warning %q, want %q", tc.name, text, tc.warning)
		}
	}
}

// The target of a symbolic link decides.
func TestStorageOfLinkIsThatOfItsTarget(t *testing.T) {
	local, share := t.TempDir(), t.TempDir()
	share, err := filepath.EvalSymlinks(share)
	if err != nil {
		t.Fatal(err)
	}
	target, link := filepath.Join(share, "r.db"), filepath.Join(local, "r.db")
	if err := os.WriteFile(target, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	find := func(dir string) (string, storage, error) {
		if dir == share {
			return "NFS", otherMachine, nil
		}
		return "", localDisk, nil
	}
	if err := refuseNetwork(link, find); err == nil {
		t.Error("a link from a local folder into a share was allowed")
	}
}

// The file system of the tests must be recognised; otherwise the protection would be off
// without notice.
func TestStorageHereIsKnown(t *testing.T) {
	if name, is, err := filesystem(t.TempDir()); err != nil || is == unknownStorage {
		t.Errorf("file system %q, kind %v, error %v", name, is, err)
	}
}
