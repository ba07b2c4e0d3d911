package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// notRun lists the commands of the README that TestREADME does not run, with the reason.
var notRun = map[string]string{
	"go run ./cmd/flujo-harness run": "minutes: the step \"job\" of .ci/run calls it for the suites",
	"go test ./...":                  "it would call itself; the step \"tests\" of .ci/run takes this command from the README",
}

// readmeBlock is a fenced block of Markdown.
type readmeBlock struct {
	line     int    // line number of its first line, from 1
	language string // "console", "go", "text", ...
	before   string // shell command from a comment above it: <!-- sandbox: cd shop -->
	text     string
}

// readmeBlocks returns the fenced blocks of a Markdown text.
func readmeBlocks(text string) (blocks []readmeBlock, err error) {
	var open *readmeBlock
	before := ""
	for i, line := range strings.Split(text, "\n") {
		fence, fenced := strings.CutPrefix(line, "```")
		switch comment, ok := strings.CutPrefix(line, "<!-- sandbox: "); {
		case fenced && open == nil:
			open = &readmeBlock{line: i + 2, language: fence, before: before}
			before = ""
		case fenced:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += line + "\n"
		case ok:
			before = strings.TrimSuffix(comment, " -->")
		case strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t"):
			return nil, fmt.Errorf("line %d: an indented block: fence it, so that its commands are run by a test", i+1)
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block does not end", open.line)
	}
	return blocks, nil
}

// consoleCall is a command in a block and the part of its standard output that the block shows.
type consoleCall struct{ command, shown string }

// words returns the command without the comment after it.
func (c consoleCall) words() string {
	command, _, _ := strings.Cut(c.command, "  #")
	return strings.TrimSpace(command)
}

// consoleCalls splits a block of type "console". A line that begins with "$ " is a command; it
// continues after a backslash at the end of the line.
func consoleCalls(text string) (calls []consoleCall) {
	continued := false
	for line := range strings.Lines(text) {
		command, ok := strings.CutPrefix(line, "$ ")
		switch {
		case ok:
			calls = append(calls, consoleCall{command: command})
		case len(calls) == 0:
			return nil
		case continued:
			calls[len(calls)-1].command += line
		default:
			calls[len(calls)-1].shown += line
			continue
		}
		continued = strings.HasSuffix(line, "\\\n")
	}
	return calls
}

// volatile lists patterns of figures that differ from call to call, with their replacements for a
// comparison. Numbers of specs and words are compared unchanged.
var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`seed [0-9]+`), "seed N"},
	{regexp.MustCompile(`(not counted|[+-][0-9.]+% \([^)]*\)) *`), "DIFFERENCE "},
	{regexp.MustCompile(`[0-9.]+ (ns|µs|ms|s|min)\b( [0-9.]+ s\b)?`), "TIME"},
	{regexp.MustCompile(`\b[0-9a-f]{7,40}\b`), "COMMIT"},
	{regexp.MustCompile(`\+dirty\b| with changes\b`), ""}, // the link to this project is no clean clone
	{regexp.MustCompile(`B/op 0 -> [0-9]+( to [0-9]+)?`), "B/op 0 -> N"},
	{regexp.MustCompile(`allocs/op 0 -> [0-9]+( to [0-9]+)?`), "allocs/op 0 -> N"},
	{regexp.MustCompile(`in each of [0-9]+ processes`), "in each of N processes"},
	{regexp.MustCompile(`Total-[0-9]+`), "Total-N"},
	{regexp.MustCompile(`v0\.[0-9.]+(-tree\.h[0-9a-f]+)?, (commit [A-Z]+( with changes)?, )?go1\.[0-9.]+`), "VERSION"},
	{regexp.MustCompile(` +`), " "},
}

// masked replaces the volatile figures of a text.
func masked(text string) string {
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// shows reports whether a block shows the text; a line "…" in it stands for any lines.
func shows(shown, text string) bool {
	parts := strings.Split("\n"+masked(shown)+"\n", "\n…\n")
	rest := "\n" + masked(text) + "\n"
	for i, part := range parts {
		switch {
		case len(parts) == 1:
			return part == rest
		case i == 0 && !strings.HasPrefix(rest+"\n", part+"\n"):
			return false
		case i == len(parts)-1 && part != "":
			return strings.HasSuffix(rest, "\n"+part)
		}
		_, after, found := strings.Cut(rest, strings.Trim(part, "\n"))
		if !found {
			return false
		}
		rest = after
	}
	return true
}

func TestShownOutputIsCompared(t *testing.T) {
	const real = "✓ HELD   3 specs passed      857 ms\n\n  specs        3 passed\n  report       .flujo/report/index.html\n"
	for shown, want := range map[string]bool{
		real: true,
		"✓ HELD   3 specs passed   4.54 s\n\n  specs   3 passed\n  report  .flujo/report/index.html\n": true,
		"✓ HELD   4 specs passed   4.54 s\n\n  specs   3 passed\n  report  .flujo/report/index.html\n": false,
		"✓ HELD   3 specs passed   4.54 s\n":                                        false,
		"✓ HELD   3 specs passed   4.54 s\n…\n  report  .flujo/report/index.html\n": true,
		"✓ HELD   3 specs passed   4.54 s\n…\n":                                     true,
		"✓ HELD   3 specs passed   4.54 s\n…\n  report  another\n":                  false,
		"…\n  specs   3 passed\n…\n":                                                true,
		"…\n  specs   2 passed\n…\n":                                                false,
	} {
		if got := shows(shown, real); got != want {
			t.Errorf("%q is found in the output: %v, want %v", shown, got, want)
		}
	}
	// Counts that differ between the processes are printed as a range.
	if got, want := masked("B/op 0 -> 2039 to 2040, allocs/op 0 -> 7 to 8"), masked("B/op 0 -> 2048, allocs/op 0 -> 8"); got != want {
		t.Errorf("a range of counts is masked as %q, a count as %q", got, want)
	}
	if blocks, err := readmeBlocks("a\n\n    go test\n"); err == nil {
		t.Errorf("an indented block is accepted: %v", blocks)
	}
	if _, err := readmeBlocks("```sh\ngo test\n"); err == nil {
		t.Error("a block without an end is accepted")
	}
	want := []consoleCall{{"a \\\nb\n", "c\n\n"}, {"d\n", ""}}
	if diff := cmp.Diff(want, consoleCalls("$ a \\\nb\nc\n\n$ d\n"), cmp.AllowUnexported(consoleCall{})); diff != "" {
		t.Error(diff)
	}
}

// The README is short, because a newcomer reads all of it.
func TestREADMEIsShort(t *testing.T) {
	text := readTree(t, "README.md")
	if n := strings.Count(text, "\n"); n > 250 {
		t.Errorf("README.md has %d lines, at most 250: method and reference have READMEs of their own", n)
	}
	for _, start := range []string{"## I have tests", "## I have benchmarks", "## I have, or want, durable pipelines"} {
		_, section, found := strings.Cut(text, "\n"+start+"\n")
		blocks, err := readmeBlocks(section)
		if !found || err != nil || len(blocks) == 0 {
			t.Fatalf("%q: found %v, error %v", start, found, err)
		}
		n := 0
		for _, call := range consoleCalls(blocks[0].text) {
			n += strings.Count(call.command, "\n")
		}
		if n == 0 || n >= 10 {
			t.Errorf("%q takes %d lines of commands, less than 10 are wanted", start, n)
		}
	}
}

// Every command of the README runs in a temporary folder, with the program that the README
// installs, and prints what the README shows.
func TestREADME(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("links the program and measures")
	}
	for _, name := range []string{"sh", "git"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("there is no %s here", name)
		}
	}
	blocks, err := readmeBlocks(readTree(t, "README.md"))
	if err != nil {
		t.Fatalf("README.md: %v", err)
	}
	s := newSandbox(t)
	ran := 0
	for _, b := range blocks {
		switch b.language {
		case "console":
			calls := consoleCalls(b.text)
			if len(calls) == 0 {
				t.Errorf("README.md:%d: a block of type console begins with \"$ \" and a command", b.line)
			}
			s.shell(b.before)
			if strings.Contains(b.text, redRun) && *updatePictures {
				s.keepHistory()
			}
			for _, call := range calls {
				if notRun[call.words()] == "" {
					s.call(b.line, call)
					ran++
				}
			}
			if strings.Contains(b.text, redRun) {
				s.pictures()
			}
		case "go":
			s.snippet(b)
			ran++
		case "text": // a figure
		default:
			t.Errorf("README.md:%d: a block of type %q is not run by any test: make it \"console\", with \"$ \" before each command, or \"go\", or \"text\" for a figure", b.line, b.language)
		}
	}
	if ran < 8 {
		t.Errorf("only %d blocks were run", ran)
	}
}

// sandbox is a folder with a module "shop", a link to this project in place of the README's clone,
// and an environment in which versions of this project come from the work tree. With a real clone
// every package would be compiled again, because its folder is part of what is compiled. Nothing is
// written to the link.
type sandbox struct {
	t    *testing.T
	root string
	dir  string // working folder of the shell
	env  []string
}

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	proxy, _ := treeProxy(t)
	s := &sandbox{t: t, root: t.TempDir()}
	home := filepath.Join(s.root, "home")
	s.env = append(proxy.env(), "HOME="+home, "GOPATH="+filepath.Join(home, "go"), "GOBIN="+filepath.Join(home, "go", "bin"),
		"GOMODCACHE="+proxy.modcache, "GOCACHE="+goEnv(t, "GOCACHE"), "PATH="+filepath.Join(home, "go", "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com",
		"COLUMNS=100", "NO_COLOR=1", "GITHUB_ACTIONS=", "GITHUB_STEP_SUMMARY=", "GITLAB_CI=", "CI=", "FLUJO_DB=", "FLUJO_STORE=")
	repo, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	branches, err := txtar.ParseFile(filepath.Join("testdata", "readme", "shop.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range branches.Files {
		path := filepath.Join(s.root, "files", filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	project := "ln -s '" + repo + "'"
	if info, err := os.Stat(filepath.Join(repo, ".git")); err != nil || !info.IsDir() {
		project = "git clone --quiet '" + repo + "'" // of a linked work tree, of which Go records no revision
	}
	s.shell("mkdir -p home && " + project + " flujo-harness && git init --quiet -b main shop && cd shop && " +
		"cp ../files/main/* . && git add . && git commit --quiet -m 'sell by the ten' && " +
		"for b in discount receipt; do git checkout --quiet -b $b main && cp ../files/$b/* . && git commit --quiet -a -m $b; done; git checkout --quiet main")
	return s
}

// shell runs a command of the test itself in the root of the sandbox, and keeps the working
// folder in which it ends. An empty command keeps the current one.
func (s *sandbox) shell(command string) {
	s.t.Helper()
	if command == "" {
		return
	}
	s.dir = s.root
	if out, said, err := s.do(command); err != nil {
		s.t.Fatalf("%s: %v\n%s%s", command, err, out, said)
	}
}

// do runs a command in the working folder in which the last one ended.
func (s *sandbox) do(command string) (stdout, stderr string, err error) {
	where := filepath.Join(s.root, "where")
	cmd := exec.Command("sh", "-c", "trap 'pwd -P >\""+where+"\"' EXIT\n"+command)
	cmd.Dir, cmd.Env = s.dir, s.env
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	if dir, readErr := os.ReadFile(where); readErr == nil {
		s.dir = strings.TrimSpace(string(dir))
	}
	return out.String(), said.String(), err
}

// unreachable matches errors of the go command without a network.
var unreachable = regexp.MustCompile(`dial tcp|no such host|module lookup disabled by GOPROXY=off`)

// call runs a command of the README and compares its standard output.
func (s *sandbox) call(line int, c consoleCall) {
	s.t.Helper()
	out, said, err := s.do(c.command)
	if err != nil && unreachable.MatchString(said) {
		s.t.Skipf("README.md:%d: %s: modules that are not in the module cache cannot be downloaded here:\n%s", line, c.command, said)
	}
	if red := strings.Contains(c.shown, "BROKEN"); (err != nil) != red {
		s.t.Errorf("README.md:%d: %s: %v\n%s%s", line, c.command, err, out, said)
		return
	}
	if c.shown != "" && !shows(c.shown, out) {
		s.t.Errorf("README.md:%d: %s prints other lines than the README shows:\n%s\nin full:\n%s%s", line, c.command, cmp.Diff(strings.Split(masked(c.shown), "\n"), strings.Split(masked(out), "\n")), out, said)
	}
}

// snippet compiles and runs a Go block in a program that declares what the block uses.
func (s *sandbox) snippet(b readmeBlock) {
	s.t.Helper()
	s.shell(b.before)
	frame, err := os.ReadFile(filepath.Join("testdata", "readme", "snippet.go.txt"))
	if err != nil {
		s.t.Fatal(err)
	}
	dir := filepath.Join(s.dir, "snippet")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	source := strings.Replace(string(frame), "\t// SNIPPET\n", b.text, 1)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if out, said, err := s.do("cd snippet && go run . && cd .."); err != nil || !strings.Contains(out, "paused at approve") {
		s.t.Errorf("README.md:%d: the program around it: %v\n%s%s", b.line, err, out, said)
	}
}
