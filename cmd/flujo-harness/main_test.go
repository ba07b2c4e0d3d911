package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/harness/machine"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && slices.Contains([]string{"guard", "burn", "session"}, os.Args[1]) { // commands that this program starts itself
		main()
	}
	testscript.Main(m, map[string]func(){"flujo-harness": main})
}

func TestCommands(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	flags := goEnv(t, "GOFLAGS")
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: storeCommands,
		// [race] holds if the program is built with the race detector, with which a session of a
		// measurement takes ten times as long.
		Condition: func(name string) (bool, error) {
			if name != "race" {
				return false, fmt.Errorf("no condition %q", name)
			}
			info, ok := debug.ReadBuildInfo()
			return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}), nil
		},
		Setup: func(env *testscript.Env) error {
			// A script that builds its own Go module needs the caches of this machine.
			home, err := os.UserHomeDir()
			if err != nil {
				return err
			}
			env.Setenv("HOME", home)
			for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOTOOLCHAIN", "GOSUMDB"} {
				if v, ok := os.LookupEnv(name); ok {
					env.Setenv(name, v)
				}
			}
			// Vet costs 0.3 s in each test program that a script builds, and no script checks what it finds. TestREADME runs it, as users do.
			env.Setenv("GOFLAGS", strings.TrimSpace(flags+" -vet=off"))
			env.Setenv("REPO", root)
			env.Setenv("CLASS", machine.Class())
			return nil
		},
	})
}

// If a command is interrupted, it reports the interrupt and not another error.
func TestInterruptsAreReportedAsSuch(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"go.mod": "module example.com/shop\n", "shop_test.go": "package shop\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{"run"}, {"bench", "--suite", "."}, {"compare", "HEAD"}, {"selftest", "errors"}, {"cost"}, {"doctor"}} {
		var out strings.Builder
		if code := run(ctx, args, strings.NewReader(""), &out, &out); code != cli.ExitInterrupted {
			t.Errorf("%s: exit code %d, want %d\n%s", args, code, cli.ExitInterrupted, out.String())
		}
	}
}
