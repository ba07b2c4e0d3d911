package machine

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/shirou/gopsutil/v4/disk"
)

func TestFilesystemCheck(t *testing.T) {
	on := func(kind string) func(*site, *hands, fstest.MapFS) {
		return put("proc/self/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:9 / /data rw shared:1 master:2 - "+kind+" source rw\n")
	}
	statfs := func(kind string, err error) func(*site, *hands, fstest.MapFS) {
		return func(s *site, h *hands, files fstest.MapFS) {
			delete(files, "proc/self/mountinfo")
			s.usage = func(context.Context, string) (*disk.UsageStat, error) { return &disk.UsageStat{Fstype: kind}, err }
		}
	}
	cases := change{
		"disk":             {nil, said{MarkOK, "", "xfs, mounted at /data/pool", ""}},
		"tmpfs":            {on("tmpfs"), said{MarkBad, ProcessOnly, "tmpfs, mounted at /data: in memory, where nothing survives a loss of power", `unsuitable for durability "power"`}},
		"ramfs":            {on("ramfs"), said{MarkBad, ProcessOnly, "nothing survives", ""}},
		"overlay":          {on("overlay"), said{MarkNote, "", "writable layer", "volume"}},
		"fuse":             {on("fuse.mergerfs"), said{MarkWarn, "", "another program", "supports fsync"}},
		"ntfs-3g":          {on("fuseblk"), said{MarkWarn, "", "another program", ""}},
		"virtiofs":         {on("virtiofs"), said{MarkWarn, "", "another program or machine", ""}},
		"by statfs":        {statfs("ext2/ext3", nil), said{MarkOK, "", "ext2/3/4", ""}},
		"by statfs, smbfs": {statfs("smbfs", nil), said{MarkBad, NoTimings, "smbfs: over a network", ""}},
		"no type":          {statfs("", nil), said{MarkUnknown, "", "cannot be determined", "local disk"}},
		"no statfs":        {statfs("", errors.ErrUnsupported), said{MarkUnknown, "", "cannot be determined", "local disk"}},
		"a neighbour": {put("proc/self/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:9 / /data/poo rw - nfs x rw\nnonsense\n"),
			said{MarkOK, "", "ext4, mounted at /", ""}},
		"covered": {put("proc/self/mountinfo", "28 27 0:9 / /data rw - ext4 x rw\n29 28 0:9 / /data rw - nfs4 x rw\n"),
			said{MarkBad, NoTimings, "nfs4, mounted at /data", ""}},
		"a blank": {func(s *site, h *hands, files fstest.MapFS) {
			s.dir = "/my data/db"
			put("proc/self/mountinfo", `27 1 254:0 / / rw - ext4 /dev/vda rw`+"\n"+`28 27 0:9 / /my\040data rw - cifs //x rw`)(s, h, files)
		}, said{MarkBad, NoTimings, "cifs, mounted at /my data", ""}},
		"the mount itself": {func(s *site, _ *hands, _ fstest.MapFS) { s.dir = "/data/pool" }, said{MarkOK, "", "xfs", ""}},
	}
	for _, kind := range []string{"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "lustre", "afs"} {
		cases["network "+kind] = struct {
			change func(*site, *hands, fstest.MapFS)
			want   said
		}{on(kind), said{MarkBad, NoTimings, kind + ", mounted at /data: over a network, where WAL does not work", "local disk"}}
	}
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkFilesystem }, cases)
}

func TestSpaceCheck(t *testing.T) {
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkSpace }, change{
		"room": {nil, said{MarkOK, "", "51200 MiB free of 102400", ""}},
		"full": {func(s *site, _ *hands, _ fstest.MapFS) {
			s.usage = func(context.Context, string) (*disk.UsageStat, error) {
				return &disk.UsageStat{Free: 511 << 20, Total: 1 << 30}, nil
			}
		}, said{MarkWarn, "", "511 MiB free of 1024", "free some space"}},
		"just enough": {func(s *site, _ *hands, _ fstest.MapFS) {
			s.usage = func(context.Context, string) (*disk.UsageStat, error) {
				return &disk.UsageStat{Free: 512 << 20, Total: 1 << 30}, nil
			}
		}, said{MarkOK, "", "512 MiB free of 1024", ""}},
		"unseen": {func(s *site, _ *hands, _ fstest.MapFS) {
			s.usage = func(context.Context, string) (*disk.UsageStat, error) { return nil, errors.ErrUnsupported }
		}, said{MarkUnknown, "", "cannot be determined", ""}},
	})
}
