package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/workdir"
)

// gitStore is a store in a git remote. Every object is a commit with one file and a separate
// ref, refs/flujo/runs/NAME. Concurrent pushes do not conflict as they would on one branch, and
// the server refuses to create a ref twice. Clones do not fetch these refs.
//
// It uses the remotes and the credentials of the clone but changes nothing there: fetched and
// pushed objects are in a temporary folder.
type gitStore struct {
	dir    string // folder of the clone, or of an empty repository
	remote string
	temp   string
	remove func() error // removes temp
	sha256 bool         // object format of the repository, otherwise SHA-1
	env    []string
	// secrets are those in the remote's address, which is in the configuration of the clone.
	secrets []string

	mu   sync.Mutex
	oids map[string]string // commit IDs by name, as last listed; nil before the first list
}

// gitRefs is the prefix of the refs of objects.
const gitRefs = "refs/flujo/runs/"

func openGit(ctx context.Context, address string, o Options) (Store, error) {
	remote := strings.TrimPrefix(address, "git:")
	if remote == "" || strings.HasPrefix(remote, "-") {
		return nil, &AddressError{errors.New("use the name of a remote of the clone, such as git:origin, or an address")}
	}
	if _, err := exec.LookPath("git"); err != nil {
		return nil, fmt.Errorf("%w: install git", err)
	}
	temp, remove, err := workdir.Temporary(os.TempDir(), "flujo-store-")
	if err != nil {
		return nil, err
	}
	g := &gitStore{dir: o.Dir, remote: remote, temp: temp, remove: remove}
	if err := g.prepare(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// prepare finds the clone, or creates an empty repository if there is none, and creates the
// folder of the objects. It does not access the remote.
func (g *gitStore) prepare(ctx context.Context) error {
	g.env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_GRAFT_FILE="+os.DevNull+"/none", "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")
	about, err := g.git(ctx, nil, "rev-parse", "--git-path", "objects", "--show-object-format")
	if err != nil { // outside of a clone there are no remotes, only addresses
		if !strings.ContainsAny(g.remote, "/:\\") {
			return &AddressError{fmt.Errorf("remote %s: this folder is not in a git clone: change to a clone, or use the address of the remote", g.remote)}
		}
		empty := filepath.Join(g.temp, "empty.git")
		if _, err := g.git(ctx, nil, "init", "--quiet", "--bare", empty); err != nil {
			return err
		}
		g.dir = empty
		about = []byte(filepath.Join(g.dir, "objects") + "\nsha1\n")
	}
	at, format, _ := strings.Cut(strings.TrimSpace(string(about)), "\n")
	g.sha256 = strings.TrimSpace(format) == "sha256"
	if !filepath.IsAbs(at) {
		at = filepath.Join(g.dir, at)
	}
	if at, err = filepath.Abs(at); err != nil {
		return err
	}
	own := filepath.Join(g.temp, "objects")
	if err := os.MkdirAll(filepath.Join(own, "pack"), 0o755); err != nil {
		return err
	}
	g.env = append(g.env, "GIT_OBJECT_DIRECTORY="+own, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+at)
	if !strings.ContainsAny(g.remote, "/:\\") {
		address, err := g.git(ctx, nil, "remote", "get-url", "--push", "--", g.remote)
		if err != nil {
			return &AddressError{fmt.Errorf("the clone has no remote %s: git remote -v lists its remotes", g.remote)}
		}
		g.secrets = secretsOf(strings.TrimSpace(string(address)))
	}
	return nil
}

// Close implements [Store]. It removes the temporary folder.
func (g *gitStore) Close() error { return g.remove() }

// settings override settings of the clone that would run further actions.
var settings = []string{"-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "push.gpgSign=false",
	"-c", "push.followTags=false", "-c", "push.recurseSubmodules=no", "-c", "fetch.recurseSubmodules=no", "-c", "fetch.prune=false",
	"-c", "fetch.writeCommitGraph=false", "-c", "advice.fetchShowForcedUpdates=false"}

// git runs git in the clone with in as its standard input. An error contains git's standard
// error output, with secrets removed.
func (g *gitStore) git(ctx context.Context, in []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append(slices.Clone(settings), args...)...)
	cmd.Dir, cmd.Env, cmd.Stdin = g.dir, g.env, bytes.NewReader(in)
	out, err := child.Output(cmd)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		err = hide(fmt.Errorf("git %s: %w", args[0], child.Explained(err)), g.secrets)
	}
	return out, err
}

// refresh lists the refs of the remote.
func (g *gitStore) refresh(ctx context.Context) (map[string]string, error) {
	out, err := g.git(ctx, nil, "ls-remote", "--quiet", "--refs", "--", g.remote, gitRefs+"*")
	if err != nil {
		return nil, err
	}
	oids := map[string]string{}
	for line := range strings.Lines(string(out)) {
		oid, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if name, ok := strings.CutPrefix(ref, gitRefs); ok && gitID.MatchString(oid) {
			oids[name] = oid
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.oids = oids
	return oids, nil
}

var gitID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// listed returns the result of the last list; the first call lists the remote.
func (g *gitStore) listed(ctx context.Context) (map[string]string, error) {
	g.mu.Lock()
	oids := g.oids
	g.mu.Unlock()
	if oids != nil {
		return oids, nil
	}
	return g.refresh(ctx)
}

// List implements [Store].
func (g *gitStore) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		oids, err := g.refresh(ctx)
		if err != nil {
			yield("", err)
			return
		}
		for _, name := range sortedKeys(oids) {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// Get implements [Store].
func (g *gitStore) Get(ctx context.Context, name string) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if _, err := g.refresh(ctx); err != nil {
		return nil, err
	}
	for o, err := range g.GetAll(ctx, []string{name}) {
		return o.Content, err
	}
	return nil, fmt.Errorf("object %s: %w", name, fs.ErrNotExist)
}

// GetAll implements [Many]. One git fetch gets all objects.
func (g *gitStore) GetAll(ctx context.Context, names []string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		var valid []string
		for _, name := range names {
			if err := CheckName(name); err == nil {
				valid = append(valid, name)
			} else if !yield(Object{Name: name}, err) {
				return
			}
		}
		there, err := g.fetch(ctx, valid)
		if err != nil {
			yield(Object{}, err)
			return
		}
		g.read(ctx, there, yield)
	}
}

// fetch fetches the objects that exist in the remote into the temporary folder and returns their
// commit IDs by name.
func (g *gitStore) fetch(ctx context.Context, names []string) (map[string]string, error) {
	oids, err := g.listed(ctx)
	for range 3 {
		if err != nil {
			return nil, err
		}
		there := map[string]string{}
		var refs strings.Builder
		for _, name := range names {
			if oid, ok := oids[name]; ok {
				there[name] = oid
				refs.WriteString(gitRefs + name + "\n")
			}
		}
		if len(there) == 0 {
			return there, nil
		}
		_, failed := g.git(ctx, []byte(refs.String()), "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--refmap=", "--stdin", "--", g.remote)
		if failed == nil {
			return there, nil
		}
		// git fetch fails as a whole if one ref was deleted since the list.
		now, err := g.refresh(ctx)
		if err != nil {
			return nil, err
		}
		gone := false
		for name := range there {
			_, is := now[name]
			gone = gone || !is
		}
		if oids = now; !gone {
			return nil, failed
		}
	}
	return nil, errors.New("git fetch: objects are being deleted while they are read: try again")
}

// read yields the file in each commit. The content is not trusted: its size is checked before it
// is read.
func (g *gitStore) read(ctx context.Context, oids map[string]string, yield func(Object, error) bool) {
	if len(oids) == 0 {
		return
	}
	names := sortedKeys(oids)
	var in strings.Builder
	for _, name := range names {
		in.WriteString(oids[name] + ":" + gitFile + "\n")
	}
	sizes, err := g.git(ctx, []byte(in.String()), "cat-file", "--batch-check=%(objecttype) %(objectsize)")
	if err != nil {
		yield(Object{}, err)
		return
	}
	var good []string
	in.Reset()
	for i, line := range strings.Split(strings.TrimSpace(string(sizes)), "\n") {
		if i == len(names) {
			break
		}
		size, isBlob := strings.CutPrefix(line, "blob ")
		n, err := strconv.ParseInt(size, 10, 64)
		switch {
		case !isBlob || err != nil:
			err = errors.New("the commit has no file " + gitFile)
		case n > MaxObject:
			err = fmt.Errorf("%d bytes exceed the maximum of %d", n, MaxObject)
		default:
			good = append(good, names[i])
			in.WriteString(oids[names[i]] + ":" + gitFile + "\n")
			continue
		}
		if !yield(Object{Name: names[i]}, &ObjectError{names[i], err}) {
			return
		}
	}
	content, err := g.git(ctx, []byte(in.String()), "cat-file", "--batch=%(objectsize)")
	if err != nil {
		yield(Object{}, err)
		return
	}
	from := bufio.NewReader(bytes.NewReader(content))
	for _, name := range good {
		o, err := nextOf(from)
		if !yield(Object{name, o}, err) || err != nil {
			return
		}
	}
}

// nextOf reads one object from the output of git cat-file --batch=%(objectsize).
func nextOf(from *bufio.Reader) ([]byte, error) {
	line, err := from.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || n < 0 || n > MaxObject {
		return nil, fmt.Errorf("git cat-file: %.100q", line)
	}
	content := make([]byte, n)
	if _, err := io.ReadFull(from, content); err != nil {
		return nil, err
	}
	_, err = from.Discard(1)
	return content, err
}
