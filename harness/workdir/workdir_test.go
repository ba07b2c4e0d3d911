package workdir

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOldMeasurementsAreRemoved(t *testing.T) {
	root := t.TempDir()
	made := func(name string, age time.Duration) string {
		dir := filepath.Join(root, ".flujo", name)
		if err := os.MkdirAll(filepath.Join(dir, "session-1"), 0o755); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	old, running, other := made("measure-1", 25*time.Hour), made("measure-2", time.Hour), made("calibration", 25*time.Hour)
	dir, remove, err := Scratch(root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{old: false, running: true, other: true, dir: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
	if err := errors.Join(remove(), remove()); err != nil {
		t.Error(err)
	}
}

// What a killed process left is removed at once, and what a running one has is not.
func TestFoldersOfKilledProcessesAreRemoved(t *testing.T) {
	base := t.TempDir()
	const variable = "FLUJO_HARNESS_TEST_FOLDER"
	if base := os.Getenv(variable); base != "" {
		dir, _, err := Temporary(base, "x-")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("made " + dir)
		os.Exit(0) // as if it had been killed
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), variable+"="+base)
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	_, left, _ := strings.Cut(strings.TrimSpace(string(said)), "made ")
	if _, err := os.Stat(filepath.Join(left, "owner")); err != nil {
		t.Skipf("this file system has no locks: %v", err)
	}
	mine, remove, err := Temporary(base, "x-")
	if err != nil {
		t.Fatal(err)
	}
	again, removeAgain, err := Temporary(base, "x-")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{left: false, mine: true, again: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
	if err := errors.Join(remove(), removeAgain()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(base); err != nil || len(left) > 0 {
		t.Errorf("%d entries are left, error %v", len(left), err)
	}
}
