package store

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	gitFile    = "run" // name of the file in a commit
	gitAtATime = 50    // refs per push: Windows limits a command line to 32,767 characters
	gitTries   = 8     // the waits between them add up to 2.5 s
)

// Put implements [Store].
func (g *gitStore) Put(ctx context.Context, name string, object []byte) (known bool, err error) {
	created, err := g.PutAll(ctx, []Object{{name, object}})
	return len(created) == 0, err
}

// PutAll implements [Many]. One git push sends 50 objects.
func (g *gitStore) PutAll(ctx context.Context, objects []Object) (created []string, err error) {
	for _, o := range objects {
		if err := CheckName(o.Name); err != nil {
			return nil, err
		}
	}
	for some := range slices.Chunk(objects, gitAtATime) {
		commits, err := g.commit(some)
		if err != nil {
			return created, err
		}
		done, err := g.push(ctx, commits)
		if created = append(created, done...); err != nil {
			return created, err
		}
	}
	return created, nil
}

// commit writes the objects into the temporary folder and returns their commit IDs by name. An
// ID depends only on name and content, so pushing an object twice is not a conflict.
//
// It writes git's object files itself: on a busy machine, three git commands per push took
// longer than everything else.
func (g *gitStore) commit(objects []Object) (map[string]string, error) {
	const by = "flujo-harness <flujo-harness@localhost> 0 +0000"
	commits := map[string]string{}
	for _, o := range objects {
		blob, err := g.write("blob", o.Content)
		if err != nil {
			return nil, err
		}
		tree, err := g.write("tree", append([]byte("100644 "+gitFile+"\x00"), blob...))
		if err != nil {
			return nil, err
		}
		commit, err := g.write("commit", fmt.Appendf(nil, "tree %x\nauthor %s\ncommitter %[2]s\n\n%s\n", tree, by, o.Name))
		if err != nil {
			return nil, err
		}
		commits[o.Name] = hex.EncodeToString(commit)
	}
	return commits, nil
}

// write writes a loose object (gitformat-loose(5)) and returns its ID.
func (g *gitStore) write(kind string, content []byte) (id []byte, err error) {
	content = append(fmt.Appendf(nil, "%s %d\x00", kind, len(content)), content...)
	if g.sha256 {
		sum := sha256.Sum256(content)
		id = sum[:]
	} else {
		sum := sha1.Sum(content)
		id = sum[:]
	}
	name := hex.EncodeToString(id)
	dir := filepath.Join(g.temp, "objects", name[:2])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed) // runs are already compressed
	if err != nil {
		return nil, err
	}
	_, err = w.Write(content)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return id, os.WriteFile(filepath.Join(dir, name[2:]), packed.Bytes(), 0o644)
}

// push creates the refs of commits that the remote lacks and returns their names. A lease with
// an empty expected value makes the server refuse refs that exist. A ref that was refused but
// does not exist is pushed again, because another push may hold the server's lock.
func (g *gitStore) push(ctx context.Context, commits map[string]string) (created []string, err error) {
	left := sortedKeys(commits)
	for try := range gitTries {
		args := []string{"push", "--porcelain", "--no-verify"}
		for _, name := range left {
			args = append(args, "--force-with-lease="+gitRefs+name+":")
		}
		args = append(args, "--", g.remote)
		for _, name := range left {
			args = append(args, commits[name]+":"+gitRefs+name)
		}
		out, failed := g.git(ctx, nil, args...)
		states := pushed(string(out))
		if failed != nil && ctx.Err() != nil {
			return created, failed
		}
		var refused []string
		for _, name := range left {
			switch states[gitRefs+name] {
			case '*':
				created = append(created, name)
			case '=': // the remote has the same commit
			default:
				refused = append(refused, name)
			}
		}
		if len(refused) == 0 {
			return created, nil
		}
		now, err := g.refresh(ctx)
		if err != nil {
			return created, errors.Join(failed, err)
		}
		left = slices.DeleteFunc(refused, func(name string) bool { _, is := now[name]; return is })
		if len(left) == 0 {
			return created, nil
		}
		if err = failed; failed == nil {
			err = errors.New("git push: the remote reported refs as created that it does not have")
		}
		if len(states) == 0 || try == gitTries-1 || !wait(ctx, try) { // unreachable, or it keeps refusing
			return created, err
		}
	}
	return created, err
}

// pushed parses the output of git push --porcelain (git-push(1), OUTPUT): the flag of each ref,
// '*' created, '=' up to date, '-' deleted, '!' refused.
func pushed(out string) map[string]byte {
	states := map[string]byte{}
	for line := range strings.Lines(out) {
		flag, rest, ok := strings.Cut(line, "\t")
		refs, _, _ := strings.Cut(rest, "\t")
		if _, ref, has := strings.Cut(refs, ":"); ok && has && len(flag) == 1 {
			states[strings.TrimSpace(ref)] = flag[0]
		}
	}
	return states
}

// wait waits 20 ms before the second try and twice as long before each further one. It reports
// false if ctx ended.
func wait(ctx context.Context, try int) bool {
	t := time.NewTimer(time.Duration(20<<try) * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Delete implements [Store].
func (g *gitStore) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := CheckName(name); err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		oids, err := g.refresh(ctx)
		if err != nil {
			return err
		}
		var there []string
		for _, name := range names {
			if _, ok := oids[name]; ok {
				there = append(there, name)
			}
		}
		if len(there) == 0 {
			return nil
		}
		if err != nil || try == gitTries {
			return fmt.Errorf("git push: the remote did not delete %d refs", len(there))
		}
		var failed error
		for some := range slices.Chunk(there, gitAtATime) {
			args := []string{"push", "--porcelain", "--no-verify"}
			for _, name := range some {
				args = append(args, "--force-with-lease="+gitRefs+name+":"+oids[name])
			}
			args = append(args, "--", g.remote)
			for _, name := range some {
				args = append(args, ":"+gitRefs+name)
			}
			out, err := g.git(ctx, nil, args...)
			if err != nil && len(pushed(string(out))) == 0 {
				return err
			}
			failed = errors.Join(failed, err)
		}
		if failed != nil && (try == gitTries-1 || !wait(ctx, try)) {
			return failed
		}
	}
}
