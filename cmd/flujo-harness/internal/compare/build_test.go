package compare

import (
	"debug/elf"
	"debug/gosym"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
)

// unaligned returns how many functions of a program begin in the middle of 64 bytes.
func unaligned(t *testing.T, binary string) (n int) {
	t.Helper()
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := f.Section(".gopclntab")
	if table == nil {
		t.Fatal("no table of functions")
	}
	data, err := table.Data()
	if err != nil {
		t.Fatal(err)
	}
	all, err := gosym.NewTable(nil, gosym.NewLineTable(data, f.Section(".text").Addr))
	if err != nil || len(all.Funcs) < 100 {
		t.Fatalf("%d functions, %v", len(all.Funcs), err)
	}
	for _, f := range all.Funcs {
		if f.Entry%64 != 0 {
			n++
		}
	}
	return n
}

// Functions of test binaries begin at multiples of 64 bytes, in every order, unless a linker cannot
// do that.
func TestFunctionsAreAligned(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads ELF files and replaces go by a script")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n", "m_test.go": "package m\n\nimport \"testing\"\n\nfunc BenchmarkX(b *testing.B) {\n}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := revisions.Checkout{Dir: dir}
	both := [2]revisions.Checkout{s, s}
	if !canAlign(t.Context(), both) {
		t.Fatal("this linker is said not to align functions")
	}
	for name, tc := range map[string]struct {
		flags  buildFlags
		layout int
		want   bool
	}{"aligned": {buildFlags{align: true}, 0, true}, "in another order": {buildFlags{align: true, trim: true}, 7, true}, "not aligned": {buildFlags{}, 0, false}} {
		to := filepath.Join(dir, "m.test")
		if err := buildTests(t.Context(), s, "example.com/m", to, tc.flags, tc.layout); err != nil {
			t.Fatal(err)
		}
		if n := unaligned(t, to); (n == 0) != tc.want {
			t.Errorf("%s: %d functions begin elsewhere", name, n)
		}
	}
	old := t.TempDir()
	if err := os.WriteFile(filepath.Join(old, "go"), []byte("#!/bin/sh\necho '  -g disable go package data checks' >&2\nexit 2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", old)
	if canAlign(t.Context(), both) {
		t.Error("a linker without the flag is said to align functions")
	}
}
