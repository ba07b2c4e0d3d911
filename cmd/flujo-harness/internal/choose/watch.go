package choose

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// watchEvery is the interval at which the files are examined. Kernel notifications are not used:
// their number is limited, and they do not work for network file systems and some containers.
const watchEvery = 500 * time.Millisecond

// stamp holds the attributes by which a changed file is recognized.
type stamp struct {
	size int64
	at   time.Time
}

// snapshot returns the stamps of all files below root. It skips hidden folders; a run writes only
// to one of them.
func snapshot(root string) map[string]stamp {
	all := map[string]stamp{}
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error { // files that cannot be read are ignored
		switch {
		case err != nil:
			return nil
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		if info, err := d.Info(); err == nil {
			all[path] = stamp{info.Size(), info.ModTime()}
		}
		return nil
	})
	return all
}

// differing returns the files that differ between two snapshots or are in only one of them.
func differing(was, is map[string]stamp) (files []string) {
	for path, s := range is {
		if was[path] != s {
			files = append(files, path)
		}
	}
	for path := range was {
		if _, there := is[path]; !there {
			files = append(files, path)
		}
	}
	return files
}

// Watch calls run at once, with nil, and then again with the changed files below root, whenever files
// changed and then stayed the same for one interval. Changes made while run is executing, the first time
// too, are passed to the next call. It returns when run fails, with that error, or when ctx ends.
func Watch(ctx context.Context, root string, run func(changed []string) error) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	was := snapshot(root)
	before := was
	if err := run(nil); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := snapshot(root)
		settled := len(differing(before, now)) == 0
		before = now
		if files := differing(was, now); settled && len(files) > 0 {
			was = now
			if err := run(files); err != nil {
				return err
			}
		}
	}
}
