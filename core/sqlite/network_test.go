package sqlite

import (
	"errors"
	"strings"
	"testing"
)

func TestDatabaseOfAnotherMachineIsRefused(t *testing.T) {
	for kind, says := range map[uint32]string{0x6969: "NFS", 0xff534d42: "CIFS", 0xef53: "", 0x01021994: "", 0x65735546: ""} { // ext4, tmpfs, FUSE
		err := refuseNetwork("/mnt/share/r.db", func(dir string) (uint32, error) {
			if dir != "/mnt/share" {
				t.Errorf("asked for %s", dir)
			}
			return kind, nil
		})
		if (err != nil) != (says != "") || err != nil && (!strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "/mnt/share/r.db")) {
			t.Errorf("%#x: error %v, want %q", kind, err, says)
		}
	}
	if err := refuseNetwork("r.db", func(string) (uint32, error) { return 0, errors.ErrUnsupported }); err != nil {
		t.Error(err)
	}
}
