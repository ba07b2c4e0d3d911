package machine

import (
	"bufio"
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// File system types by their effect on a database, as named in /proc/self/mountinfo and by
// gopsutil's statfs table.
var (
	overNetwork = []string{"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "smbfuse", "9p", "v9fs", "ceph", "glusterfs", "lustre",
		"afs", "k-afs", "afpfs", "coda", "fhgfs", "beegfs", "gpfs", "panfs", "orangefs", "pvfs2", "ocfs2", "gfs", "gfs2", "gfs/gfs2", "ncpfs", "novell", "davfs", "webdav",
		"sshfs", "rclone", "s3fs", "gcsfuse", "goofys", "mountpoint-s3", "juicefs", "davfs2"}
	inMemory = []string{"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"}
	layered  = []string{"overlay", "overlayfs", "aufs"}
)

// checkFilesystem reports the file system of dir. WAL needs shared memory between the users of
// a database, which network file systems do not provide (https://www.sqlite.org/wal.html).
func (s *site) checkFilesystem(ctx context.Context) (Check, error) {
	kind, mount := s.mounted()
	if kind == "" {
		u, err := s.usage(ctx, s.dir)
		if err != nil || u.Fstype == "" {
			return Check{Mark: MarkUnknown, Finding: "the type of the file system cannot be determined",
				Do: "make sure that it is a local disk"}, nil
		}
		kind = filesystemName(u.Fstype)
	}
	c := Check{Mark: MarkOK, Finding: kind}
	if mount != "" {
		c.Finding += ", mounted at " + mount
	}
	bare, fuse := strings.CutPrefix(strings.ToLower(kind), "fuse.")
	switch {
	case slices.Contains(overNetwork, bare):
		c.Mark, c.Bars = MarkBad, NoTimings
		c.Finding += ": over a network, where WAL does not work"
		c.Do = "name a folder on a local disk with --dir"
	case slices.Contains(inMemory, bare):
		c.Mark, c.Bars = MarkBad, ProcessOnly
		c.Finding += ": in memory, where nothing survives a loss of power"
		c.Do = `unsuitable for durability "power": name a folder on a disk with --dir`
	case slices.Contains(layered, bare):
		c.Mark = MarkNote
		c.Finding += ": a container's writable layer"
		c.Do = "measure on a volume if production uses one"
	case fuse || bare == "fuse" || bare == "fuseblk" || bare == "virtiofs":
		c.Mark = MarkWarn
		c.Finding += ": another program or machine stores the data"
		c.Do = "name a folder on a local disk with --dir, or make sure that this file system supports fsync and shared memory maps as a local disk does"
	}
	return c, nil
}

// mounted returns the file system type and the mount point of dir according to
// /proc/self/mountinfo (proc_pid_mountinfo(5)), or empty strings if that file does not exist.
// The longest mount point above dir applies; of several equal ones the last, which hides the
// others.
func (s *site) mounted() (kind, mount string) {
	f, err := s.files.Open("proc/self/mountinfo")
	if err != nil {
		return "", ""
	}
	defer f.Close()
	dir := filepath.ToSlash(s.dir)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields, source := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 6 || len(source) == 0 {
			continue
		}
		point := unescapeMount(fields[4])
		if below(dir, point) && len(point) >= len(mount) {
			kind, mount = source[0], point
		}
	}
	return kind, mount
}

// unescapeMount decodes the octal escapes that the kernel writes for blanks and backslashes.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// below reports whether dir is the folder point or is inside it.
func below(dir, point string) bool {
	return dir == point || strings.HasPrefix(dir, strings.TrimSuffix(path.Clean(point), "/")+"/")
}

// checkSpace warns if a measurement could fill the disk.
func (s *site) checkSpace(ctx context.Context) (Check, error) {
	u, err := s.usage(ctx, s.dir)
	if err != nil {
		return Check{Mark: MarkUnknown, Finding: fmt.Sprintf("the free space cannot be determined: %v", err)}, nil
	}
	const mib = 1 << 20
	c := Check{Mark: MarkOK, Finding: fmt.Sprintf("%d MiB free of %d", u.Free/mib, u.Total/mib),
		Figures: []Figure{{"free", float64(u.Free), "bytes", 0}, {"total", float64(u.Total), "bytes", 0}}}
	if u.Free < 512*mib {
		c.Mark = MarkWarn
		c.Do = "free some space: a measurement that fills the disk is lost, and full disks are slow"
	}
	return c, nil
}
