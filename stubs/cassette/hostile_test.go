package cassette_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs/cassette"
)

// Whatever a line of a cassette holds, it is refused or taken for what it is.
func TestCassetteBombsAreRefused(t *testing.T) {
	head, line := "{\"flujo_cassette\":1}\n", func(input string) string {
		return `{"key":"x","kind":"agent","name":"a","path":"p","n":1,"input":` + input + `,"output":1}` + "\n"
	}
	const deep = 1 << 20
	nested := `"x"` // JSON in a text, in JSON in a text ...
	for range 12 {
		nested = fmt.Sprintf("%q", `{"a":`+nested+`}`)
	}
	for name, tc := range map[string]struct {
		file, says string
		at         int // line
	}{
		"arrays in each other":            {head + line(strings.Repeat("[", deep)+strings.Repeat("]", deep)), "depth", 2},
		"objects in each other":           {head + line(strings.Repeat(`{"a":`, deep)+"1"+strings.Repeat("}", deep)), "depth", 2},
		"a header of arrays":              {strings.Repeat("[", deep), "depth", 1},
		"a second header":                 {head + head, "unknown field", 2},
		"a second value in a line":        {head + strings.TrimSuffix(line("1"), "\n") + line("2"), "not one JSON value", 2},
		"a name twice":                    {head + line(`{"a":[{"b":1,"b":2}]}`), `an object has "b" twice`, 2},
		"a name twice, written otherwise": {head + line(`{"b":1,"\u0062":2}`), `an object has "b" twice`, 2},
		"JSON in texts in each other":     {head + line(nested), "the key does not match the request", 2},
		"1 MiB of nothing":                {head + line(`"`+strings.Repeat(" ", 1<<20)+`"`), "the key does not match the request", 2},
		"a million empty lines":           {head + strings.Repeat("\n", deep), "not one JSON value", 2},
		"NUL":                             {head + line("\"\x00\""), "not one JSON value", 2},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.jsonl")
			if err := os.WriteFile(file, []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := cassette.Open(file, cassette.Replay)
			var bad *cassette.FileError
			if !errors.As(err, &bad) || !errors.Is(err, core.ErrHarness) || bad.Line != tc.at || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %.300v, want one at line %d that says %q", err, tc.at, tc.says)
			}
			if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, []byte(tc.file)) {
				t.Errorf("the file was touched: %v", err)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "c.jsonl")
	if err := errors.Join(os.WriteFile(file, []byte(head), 0o600), os.Truncate(file, 1<<30)); err != nil { // a hole
		t.Fatal(err)
	}
	if _, err := cassette.Open(file, cassette.Replay); err == nil || !strings.Contains(err.Error(), "the file is larger than 256 MiB") {
		t.Errorf("1 GiB: error %v", err)
	}
}
