package thresholds

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/pelletier/go-toml/v2"
)

// Any limits file results in an error with its name, or in limits that are unchanged after being
// written and read.
func FuzzReadLimits(f *testing.F) {
	committed, err := filepath.Glob("limits/*.toml")
	if err != nil || len(committed) == 0 {
		f.Fatal(committed, err)
	}
	for _, path := range committed {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		first, _, _ := bytes.Cut(text, []byte("[[limit]]\n"))
		f.Add(first)
	}
	for _, text := range []string{"", "schema = 1", "schema = 1\nclass = 'c'", "schema = 2\nclass = 'c'", "schema = 1\nclass = 'c'\nnew = 1",
		"schema = 1\nclass = 'c'\n[[limit]]\nworkload = 'w'\nmetric = 'cost_ratio'\nbaseline = 1.0\nmargin = 0.1\nlimit = 1.1",
		"schema = 1\nclass = 'c'\n[[limit]]\nbaseline = nan", "schema = 1\nclass = 'c'\n[[ledger]]\nchange = 'loosened'\nexpires = '2026-01-01'\nreason = 'r'",
		"a = [[[[[[[[[[", "\"\\uD800\" = 1", "schema = 1\nschema = 1"} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := LoadFS(fstest.MapFS{"c.toml": {Data: data}}, "limits", "c")
		if err != nil {
			var bad *LimitsError
			if !errors.As(err, &bad) || bad.Path != filepath.Join("limits", "c.toml") {
				t.Errorf("%v", err)
			}
			return
		}
		read.Path = filepath.Join(dir, "c.toml")
		if err := read.Save(); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Read(read.Path)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		once, err1 := toml.Marshal(read)
		twice, err2 := toml.Marshal(again)
		if err1 != nil || err2 != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s\nbecomes\n%s, %v, %v", once, twice, err1, err2)
		}
	})
}
