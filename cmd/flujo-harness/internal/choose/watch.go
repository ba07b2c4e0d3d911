package choose

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// watchEvery is how often the files are looked at. The kernel is not asked to watch them: that has
// limits, and does not reach file systems of other machines and of containers.
const watchEvery = 500 * time.Millisecond

// stamp is what changes with a file.
type stamp struct {
	size int64
	at   time.Time
}

// snapshot is the stamps of all files below root. Hidden folders are left out: what a run writes is
// in one of them.
func snapshot(root string) map[string]stamp {
	all := map[string]stamp{}
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error { // what cannot be read does not change
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

// differing are the files that are in one of two snapshots only, or differ.
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

// Watch calls run with the files below root that changed, each time that some did and no more do,
// until ctx ends. Changes while run runs are those of the next call.
func Watch(ctx context.Context, root string, run func(changed []string)) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	was := snapshot(root)
	before := was
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := snapshot(root)
		settled := len(differing(before, now)) == 0
		before = now
		if files := differing(was, now); settled && len(files) > 0 {
			was = now
			run(files)
		}
	}
}
