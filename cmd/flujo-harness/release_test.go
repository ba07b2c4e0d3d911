package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	modpath "golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// moduleProxy serves versions of this project's modules from a folder, as proxy.golang.org would.
type moduleProxy struct {
	dir      string
	modcache string
	upstream string // GOPROXY of the user
}

func newModuleProxy(t *testing.T) *moduleProxy {
	t.Helper()
	return &moduleProxy{dir: t.TempDir(), modcache: goEnv(t, "GOMODCACHE"), upstream: goEnv(t, "GOPROXY")}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// env returns the environment for go commands. They get modules from the proxy, then from the
// module cache, and then from the user's own proxy, since go mod tidy reads modules that nothing
// here is built from. The versions are downloaded to the machine's module cache, so that SQLite
// need not be compiled again, and are removed from it when the test ends.
func (p *moduleProxy) env() []string {
	url := func(dir string) string { return "file://" + filepath.ToSlash(dir) }
	return append(os.Environ(), "GOPROXY="+url(p.dir)+","+url(filepath.Join(p.modcache, "cache", "download"))+","+p.upstream,
		"GOSUMDB=off", "GOFLAGS=-modcacherw", "GOWORK=off", "GOTOOLCHAIN=local", "GOPRIVATE=", "GONOPROXY=")
}

// serve adds a version of a module. write writes its zip file.
func (p *moduleProxy) serve(t *testing.T, m modpath.Version, gomod []byte, write func(*bytes.Buffer) error) {
	t.Helper()
	var archive bytes.Buffer
	if err := write(&archive); err != nil {
		t.Fatalf("%s cannot be a module of the proxy: %v", m, err)
	}
	dir := filepath.Join(p.dir, filepath.FromSlash(m.Path), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"list": []byte(m.Version + "\n"), m.Version + ".info": fmt.Appendf(nil, `{"Version":%q}`, m.Version),
		m.Version + ".mod": gomod, m.Version + ".zip": archive.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { p.forget(t, m) })
}

// forget removes a version from the machine's module cache.
func (p *moduleProxy) forget(t *testing.T, m modpath.Version) {
	downloaded := filepath.Join(p.modcache, "cache", "download", filepath.FromSlash(m.Path), "@v", m.Version+".")
	files, err := filepath.Glob(downloaded + "*")
	if err != nil {
		t.Error(err)
	}
	for _, path := range append(files, filepath.Join(p.modcache, filepath.FromSlash(m.Path)+"@"+m.Version)) {
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	}
}

// treeProxy serves the work tree, uncommitted changes included, as a version that no release has.
func treeProxy(t *testing.T) (p *moduleProxy, version string) {
	t.Helper()
	root := filepath.Join("..", "..")
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Skipf("the files of the tree are those that git lists: %v", err)
	}
	var files []zip.File
	sum := sha256.New()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if os.IsNotExist(err) {
			continue // deleted, but not committed
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
		files = append(files, treeFile{name: name, path: filepath.Join(root, filepath.FromSlash(name))})
	}
	files = outsideNested(files)
	version = fmt.Sprintf("v0.0.0-tree.h%x", sum.Sum(nil)[:6])
	p = newModuleProxy(t)
	m := modpath.Version{Path: strings.TrimSuffix(module, "/"), Version: version}
	p.serve(t, m, []byte(readTree(t, "go.mod")), func(w *bytes.Buffer) error { return zip.Create(w, m, files) })
	return p, version
}

// outsideNested removes the files of nested modules, as the go command does.
func outsideNested(files []zip.File) (kept []zip.File) {
	var nested []string
	for _, f := range files {
		if dir, ok := strings.CutSuffix(f.Path(), "/go.mod"); ok {
			nested = append(nested, dir+"/")
		}
	}
next:
	for _, f := range files {
		for _, dir := range nested {
			if strings.HasPrefix(f.Path(), dir) {
				continue next
			}
		}
		kept = append(kept, f)
	}
	return kept
}

// treeFile is a file of the work tree.
type treeFile struct{ name, path string }

func (f treeFile) Path() string                 { return f.name }
func (f treeFile) Lstat() (os.FileInfo, error)  { return os.Lstat(f.path) }
func (f treeFile) Open() (io.ReadCloser, error) { return os.Open(f.path) }

// The program can be a tool of another module, by its version. TestREADME installs it as a
// command.
func TestToolFromAProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("links the program")
	}
	proxy, version := treeProxy(t)
	user := t.TempDir()
	goIn := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = user, proxy.env()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	goIn("mod", "init", "example.com/user")
	goIn("get", "-tool", module+"cmd/flujo-harness@"+version)
	if out := goIn("tool", "flujo-harness", "--version"); !strings.HasPrefix(out, "flujo-harness "+version+", go1.") {
		t.Errorf("--version of the tool: %s, want %s", out, version)
	}
	out, err := os.ReadFile(filepath.Join(user, "go.mod"))
	if err != nil || !strings.Contains(string(out), "tool "+module+"cmd/flujo-harness") {
		t.Errorf("go.mod of the user: %v\n%s", err, out)
	}
}

// A release tags every nested module in a form that can be required, and whose command can be
// installed, without the replacement in the work tree.
func TestNestedModulesAreReleased(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("clones the repository")
	}
	for _, name := range []string{"bash", "git"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("there is no %s here", name)
		}
	}
	const version = "v0.1.0-test.1"
	repo, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	in := func(dir string, env []string, name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, append(env, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(dir, name string, args ...string) string {
		t.Helper()
		out, err := in(dir, os.Environ(), name, args...)
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return out
	}
	must(".", "git", "clone", "--quiet", repo, clone)
	if out, err := in(clone, os.Environ(), ".ci/release", "tag", "1.0"); err == nil || !strings.Contains(out, "use v0.1.0") {
		t.Errorf("a version without v: %s", out)
	}
	out := must(clone, ".ci/release", "tag", version)
	if !strings.Contains(out, "git push --atomic origin "+version) {
		t.Errorf("how to publish is not said: %s", out)
	}
	if out, err := in(clone, os.Environ(), ".ci/release", "tag", version); err == nil || !strings.Contains(out, "there is a tag") {
		t.Errorf("a tag is made twice: %s", out)
	}

	proxy := newModuleProxy(t)
	serve := func(dir, version, revision string) {
		m := modpath.Version{Path: strings.TrimSuffix(module+dir, "/"), Version: version}
		gomod := must(clone, "git", "show", revision+":"+strings.TrimPrefix(dir+"/go.mod", "/"))
		proxy.serve(t, m, []byte(gomod), func(w *bytes.Buffer) error { return zip.CreateFromVCS(w, m, clone, revision, dir) })
	}
	serve("", version, version)
	env := proxy.env()
	nested := 0
	for tag := range strings.Lines(must(clone, "git", "tag", "--list", "*/"+version)) {
		dir := strings.TrimSuffix(strings.TrimSpace(tag), "/"+version)
		nested++
		serve(dir, version, dir+"/"+version)
		t.Run(dir, func(t *testing.T) {
			user := t.TempDir()
			must(user, "go", "mod", "init", "example.com/user")
			if out, err := in(user, env, "go", "get", module+dir+"@"+version); err != nil {
				t.Fatalf("go get: %v\n%s", err, out)
			}
			if out, err := in(user, env, "go", "list", "-m", strings.TrimSuffix(module, "/")); err != nil || !strings.Contains(out, " "+version) {
				t.Errorf("it requires %s, error %v, want %s", out, err, version)
			}
		})
	}
	if nested < 4 {
		t.Errorf("%d nested modules are tagged", nested)
	}
	const buckets = "cmd/flujo-harness-buckets"
	if out, err := in(t.TempDir(), env, "go", "install", "-n", module+buckets+"@"+version); err != nil {
		t.Errorf("go install -n: %v\n%s", err, out)
	}
	// The control is the module with its replacement, as in the work tree.
	serve(buckets, "v0.1.0-test.0", version)
	if out, err := in(t.TempDir(), env, "go", "install", "-n", module+buckets+"@v0.1.0-test.0"); err == nil || !strings.Contains(out, "replace directives") {
		t.Errorf("the control: a module with a replacement can be installed: %v\n%s", err, out)
	}
}

// The archives of a release are identical wherever they are built, and contain the program, the
// license and the README.
func TestArchivesAreReproducible(t *testing.T) {
	if !*reproducible {
		t.Skip("it takes minutes: -reproducible")
	}
	repo, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"linux_amd64", "windows_amd64"} {
		twice := exec.Command(filepath.Join(repo, ".ci", "release"), "twice")
		twice.Env = append(os.Environ(), "FLUJO_TARGETS="+target)
		out, err := twice.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "built twice: the same bytes") || !strings.Contains(string(out), target+".tar.gz") {
			t.Errorf("%s: %v\n%s", target, err, out)
		}
	}
}
