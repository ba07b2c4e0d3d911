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
)

// Git is a store in a git remote: every object is a commit with one file, and a ref of its own,
// refs/flujo/runs/NAME. Pushes at once do not contend, as they would for one branch, and the
// server itself refuses to create a ref twice. Clones do not fetch these refs.
//
// It works in the clone, with its remotes and credentials, and leaves nothing there: what is
// fetched and pushed is in a folder of its own.
type Git struct {
	dir    string // folder of the clone, or of an empty repository
	remote string
	temp   string
	sha256 bool // the format of objects
	env    []string
	// secrets are those of the address of the remote, which the clone knows.
	secrets []string

	mu   sync.Mutex
	oids map[string]string // of the names, as last listed; nil: not listed yet
}

// gitRefs is where the objects are in the remote.
const gitRefs = "refs/flujo/runs/"

func openGit(ctx context.Context, address string, o Options) (Store, error) {
	remote := strings.TrimPrefix(address, "git:")
	if remote == "" || strings.HasPrefix(remote, "-") {
		return nil, &AddressError{errors.New("name the remote of the clone or its address, as in git:origin")}
	}
	return OpenGit(ctx, o.Dir, remote)
}

// OpenGit opens a remote of the clone in dir, or the address of a repository: then dir need not
// be in a clone. It does not reach the remote yet.
func OpenGit(ctx context.Context, dir, remote string) (*Git, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, fmt.Errorf("%w: install git", err)
	}
	temp, err := os.MkdirTemp("", "flujo-store-*")
	if err != nil {
		return nil, err
	}
	g := &Git{dir: dir, remote: remote, temp: temp}
	if err := g.prepare(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// prepare finds the clone and makes the folder of the objects.
func (g *Git) prepare(ctx context.Context) error {
	g.env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_GRAFT_FILE="+os.DevNull+"/none", "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")
	about, err := g.git(ctx, nil, "rev-parse", "--git-path", "objects", "--show-object-format")
	if err != nil { // in no clone: only an address can be meant
		if !strings.ContainsAny(g.remote, "/:\\") {
			return &AddressError{fmt.Errorf("remote %s: there is no git clone here: call it in one, or give the address of the remote", g.remote)}
		}
		g.dir = filepath.Join(g.temp, "empty.git")
		if _, err := g.git(ctx, nil, "init", "--quiet", "--bare", g.dir); err != nil {
			return err
		}
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
			return &AddressError{fmt.Errorf("there is no remote %s here: git remote -v lists them", g.remote)}
		}
		g.secrets = secretsOf(strings.TrimSpace(string(address)))
	}
	return nil
}

// Close removes what was fetched.
func (g *Git) Close() error { return os.RemoveAll(g.temp) }

// settings keep the clone's own from doing more than what is asked for.
var settings = []string{"-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "push.gpgSign=false",
	"-c", "push.followTags=false", "-c", "push.recurseSubmodules=no", "-c", "fetch.recurseSubmodules=no", "-c", "fetch.prune=false",
	"-c", "fetch.writeCommitGraph=false", "-c", "advice.fetchShowForcedUpdates=false"}

// git runs git in the clone. Its error holds what git said, without passwords.
func (g *Git) git(ctx context.Context, in []byte, args ...string) ([]byte, error) {
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

// refresh lists the remote.
func (g *Git) refresh(ctx context.Context) (map[string]string, error) {
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

// listed returns what was listed last, and lists where nothing was.
func (g *Git) listed(ctx context.Context) (map[string]string, error) {
	g.mu.Lock()
	oids := g.oids
	g.mu.Unlock()
	if oids != nil {
		return oids, nil
	}
	return g.refresh(ctx)
}

// List asks the remote.
func (g *Git) List(ctx context.Context) iter.Seq2[string, error] {
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

// Get fetches one object.
func (g *Git) Get(ctx context.Context, name string) ([]byte, error) {
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

// GetAll fetches the objects in one step.
func (g *Git) GetAll(ctx context.Context, names []string) iter.Seq2[Object, error] {
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

// fetch brings those of the objects that are in the remote into the own folder, and returns the
// ids of their commits by name.
func (g *Git) fetch(ctx context.Context, names []string) (map[string]string, error) {
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
		// One that is gone meanwhile fails all.
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
	return nil, errors.New("git fetch: the objects are deleted faster than they can be read: try again")
}

// read yields the file in each commit. What the commits hold may be anybody's.
func (g *Git) read(ctx context.Context, oids map[string]string, yield func(Object, error) bool) {
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
			err = errors.New("its commit has no file " + gitFile)
		case n > MaxObject:
			err = fmt.Errorf("it has %d bytes, the most that a run may have are %d", n, MaxObject)
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

// nextOf reads one answer of git cat-file --batch.
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
