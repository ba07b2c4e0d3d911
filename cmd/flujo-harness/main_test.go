package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flujo/flujo-harness/harness"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"flujo-harness": main})
}

func TestCommands(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: storeCommands,
		// [race]: the program is built with the race detector, under which a session of a
		// measurement takes ten times as long.
		Condition: func(name string) (bool, error) {
			if name != "race" {
				return false, fmt.Errorf("no condition %q", name)
			}
			info, ok := debug.ReadBuildInfo()
			return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}), nil
		},
		Setup: func(env *testscript.Env) error {
			// A script that builds a Go module of its own needs the caches of this machine.
			home, err := os.UserHomeDir()
			if err != nil {
				return err
			}
			env.Setenv("HOME", home)
			for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "GOSUMDB"} {
				if v, ok := os.LookupEnv(name); ok {
					env.Setenv(name, v)
				}
			}
			env.Setenv("REPO", root)
			env.Setenv("CLASS", harness.Class())
			return nil
		},
	})
}
