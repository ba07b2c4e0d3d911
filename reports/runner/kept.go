package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness/child"
)

// kept is the test program of a package. go test leaves it in a file in the first run, and later
// runs start it as go test would: in the folder of the package, with the same flags and
// environment. That saves the time of go test, most of which the linker needs.
type kept struct {
	file string
	env  *goEnv // nil until requested
}

// goEnv contains values that go env prints in the folder of the module.
type goEnv struct {
	GOFLAGS, GOROOT, GOOS, GOARCH, GOHOSTOS, GOHOSTARCH string

	test2json string // path of the program
}

// buildFlags are the flags in GOFLAGS that affect only how go test builds a program. Others, such
// as -short, are for the program or change how it is started.
var buildFlags = []string{"a", "asan", "asmflags", "buildvcs", "compiler", "gcflags", "mod", "modcacherw", "modfile", "msan", "p", "race", "tags", "toolexec", "trimpath", "vet"}

// find asks the go command for its settings. It reports false if the program would not be started
// as go test starts it.
func (k *kept) find(ctx context.Context, root string) bool {
	if k.env != nil {
		return k.env.test2json != ""
	}
	k.env = &goEnv{}
	output := func(args ...string) []byte {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = root
		out, err := child.Output(cmd)
		if err != nil {
			return nil // go test reports what is wrong
		}
		return out
	}
	e := k.env
	if json.Unmarshal(output("env", "-json", "GOFLAGS", "GOROOT", "GOOS", "GOARCH", "GOHOSTOS", "GOHOSTARCH"), e) != nil {
		return false
	}
	other := slices.ContainsFunc(strings.Fields(e.GOFLAGS), func(f string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		return !slices.Contains(buildFlags, name)
	})
	if !other && e.GOOS == e.GOHOSTOS && e.GOARCH == e.GOHOSTARCH { // or else a program may be needed that runs it
		e.test2json = strings.TrimSpace(string(output("tool", "-n", "test2json")))
	}
	return e.test2json != ""
}

// build returns the flags by which go test keeps the program. -s and -w are the flags of the
// linker that go test sets itself if it does not keep the program.
func (k *kept) build() []string { return []string{"-o=" + k.file, "-ldflags=-s -w"} }

// built reports whether go test has left the program in the file.
func (k *kept) built() bool {
	_, err := os.Stat(k.file)
	return err == nil
}

// run runs the tests of a package again, given the flags of go test for its program, and writes
// the events that go test would write to events.
func (k *kept) run(ctx context.Context, t testPackage, flags, guard []string, events io.Writer) (failed, err error) {
	args := []string{"-test.paniconexit0", "-test.timeout=10m0s", "-test.v=test2json", "-test.count=1"}
	for _, f := range flags {
		args = append(args, "-test."+strings.TrimLeft(f, "-"))
	}
	raw, err := os.Create(k.file + ".out")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.Close()) }()
	cmd := exec.CommandContext(ctx, k.file, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.Dir, raw, raw
	cmd.Env = append(os.Environ(), "PWD="+t.Dir, "PATH="+filepath.Join(k.env.GOROOT, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	if failed, err = child.RunGroup(ctx, cmd, guard); err != nil {
		return nil, fmt.Errorf("start the tests of %s: %w", t.ImportPath, err)
	}
	out, err := os.ReadFile(raw.Name())
	if err != nil {
		return nil, err
	}
	convert := exec.Command(k.env.test2json, "-p", t.ImportPath)
	convert.Stdin, convert.Stdout = bytes.NewReader(append(out, k.end(out, t.ImportPath, failed)...)), events
	if err = child.Run(convert); err == nil && failed == nil && !passed.Match(out) {
		_, err = fmt.Fprintf(events, `{"Action":"pass","Package":%q}`+"\n", t.ImportPath) // as go test reports an exit code of 0
	}
	if err != nil {
		return nil, fmt.Errorf("convert the output of the tests of %s: %w", t.ImportPath, err)
	}
	return failed, nil
}

// passed matches the line that makes test2json end with the event that the package passed.
var passed = regexp.MustCompile(`(?m)^\x16?PASS$`)

// end returns the text that go test adds to the output of a program.
func (k *kept) end(out []byte, pkg string, failed error) (text string) {
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		text = "\n"
	}
	if failed == nil {
		return text + "ok  \t" + pkg + "\n"
	}
	if exit := (*exec.ExitError)(nil); len(out) == 0 || !errors.As(failed, &exit) || !exit.Exited() {
		text += failed.Error() + "\n" // such as "signal: killed"
	}
	return text + "\x16FAIL\t" + pkg + "\n" // the character marks a line that the tests did not print
}
