package compare

import (
	"debug/elf"
	"debug/gosym"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
)

// functionsOf returns the functions of a program.
func functionsOf(t *testing.T, binary string) []gosym.Func {
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
	return all.Funcs
}

// unaligned returns how many functions of a program begin in the middle of 64 bytes.
func unaligned(t *testing.T, binary string) (n int) {
	t.Helper()
	for _, f := range functionsOf(t, binary) {
		if f.Entry%64 != 0 {
			n++
		}
	}
	return n
}

// emptyBenchmark writes a module with one benchmark.
func emptyBenchmark(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n", "m_test.go": "package m\n\nimport \"testing\"\n\nfunc BenchmarkX(b *testing.B) {\n}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// functions returns the names of the functions of a program in their order.
func functions(t *testing.T, binary string) (names []string) {
	t.Helper()
	for _, f := range functionsOf(t, binary) {
		names = append(names, f.Name)
	}
	return names
}

// From the second layout on, the linker is called without the go command, and writes what the go command
// would. If that fails, the go command is called.
func TestLayoutsAreLinkedAgain(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads ELF files")
	}
	dir := emptyBenchmark(t)
	s := revisions.Checkout{Dir: dir}
	tmp := t.TempDir()
	b := &packageBuild{pkg: "example.com/m", stem: filepath.Join(tmp, "it's 0"), flags: buildFlags{align: true, trim: true},
		sides: [2]revisions.Checkout{s, s}, dirs: [2]string{dir, dir}, layouts: map[int][2]harness.BenchSide{}}
	same := func(n int) {
		t.Helper()
		base, head, err := b.layout(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(tmp, "want.test")
		if _, err := buildTests(t.Context(), s, b.pkg, to, b.flags, n); err != nil {
			t.Fatal(err)
		}
		want := functions(t, to)
		for _, side := range []harness.BenchSide{base, head} {
			if got := functions(t, side.Binary); !slices.Equal(got, want) {
				t.Errorf("layout %d has another order than that of the go command", n)
			}
		}
	}
	same(1)
	first := b.again
	if first[0] == nil || first[1] == nil || first[0].work == first[1].work {
		t.Fatalf("the commands of the linker: %+v", first)
	}
	same(2)
	same(3)
	if b.again != first {
		t.Fatal("the linker could not be called again")
	}
	if err := os.RemoveAll(first[1].work); err != nil {
		t.Fatal(err)
	}
	same(4)
	if b.again[0] != first[0] || b.again[1] != nil {
		t.Errorf("after a failure: %+v", b.again)
	}
	for _, said := range []string{"", "WORK=/tmp/w\n", "/go/link -o $WORK/b001/m.test -randlayout=1 a.o\n", "WORK=/tmp/w\n/go/link -o $WORK/b001/m.test -randlayout=1 a.o\n/go/link -o $WORK/b002/m.test -randlayout=1 b.o\n"} {
		if l := linkingOf(said); l != nil {
			t.Errorf("%q: %+v", said, l)
		}
	}
}

// Functions of test binaries begin at multiples of 64 bytes, in every order, unless a linker cannot
// do that.
func TestFunctionsAreAligned(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads ELF files and replaces go by a script")
	}
	dir := emptyBenchmark(t)
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
		if _, err := buildTests(t.Context(), s, "example.com/m", to, tc.flags, tc.layout); err != nil {
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
