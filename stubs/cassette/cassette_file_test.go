package cassette_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs/cassette"
)

func TestBadCassettes(t *testing.T) {
	good := strings.Split(read(t, recordOne(t, nil, topic{Topic: "a"}, topic{Topic: "b"})), "\n")
	head, one, two := good[0]+"\n", good[1]+"\n", good[2]+"\n"
	dir := t.TempDir()
	var text strings.Builder
	for i, tt := range []struct{ name, file string }{
		{"empty", ""},
		{"no JSON", head + one + "<<<<<<< HEAD\n" + two},
		{"two values", head + one[:len(one)-1] + two},
		{"empty line", head + "\n" + one},
		{"no header", one},
		{"header is no JSON", "flujo\n" + one},
		{"header of another kind", `{"version":1}` + "\n"},
		{"newer", `{"flujo_cassette":2,"compressed":true}` + "\n" + one},
		{"unknown field in header", `{"flujo_cassette":1,"ignored":["a"]}` + "\n" + one},
		{"unknown field", head + strings.Replace(one, `"n":1`, `"n":1,"took":"3s"`, 1)},
		{"unknown kind", head + strings.Replace(one, `"kind":"agent"`, `"kind":"grpc"`, 1)},
		{"number 0", head + strings.Replace(one, `"n":1`, `"n":0`, 1)},
		{"wrong type", head + strings.Replace(one, `"n":1`, `"n":"1"`, 1)},
		{"no input", head + `{"key":"x","kind":"agent","name":"a","path":"","n":1,"output":1}` + "\n"},
		{"no answer", head + `{"key":"x","kind":"agent","name":"a","path":"","n":1,"input":1}` + "\n"},
		{"two answers", head + `{"key":"x","kind":"agent","name":"a","path":"","n":1,"input":1,"output":1,"error":{"text":"x"}}` + "\n"},
		{"no response", head + `{"key":"x","kind":"http","name":"GET http://x","path":"","n":1,"input":{},"output":{"code":200}}` + "\n"},
		{"duplicate", head + one + two + one},
		{"field twice", head + strings.Replace(one, `"n":1`, `"n":1,"n":1`, 1)},
		{"field twice within", head + one + strings.Replace(two, `"input":{`, `"input":{"topic":"x",`, 1)},
		{"field twice in an array", head + strings.Replace(one, `"output":`, `"output":[1,{"a":[{"b":"a"}],"b":"a","a":[]}],"error":`, 1)},
		{"field twice in the header", `{"flujo_cassette":1,"ignore":["a"],"ignore":[]}` + "\n" + one},
		{"cut off", head + one + two[:len(two)/2]},
		{"edited input", head + one + strings.Replace(two, `"topic":"`, `"topic":"my `, 1)},
		{"edited path", head + strings.Replace(one, `"path":"draft"`, `"path":"final"`, 1)},
	} {
		file := filepath.Join(dir, fmt.Sprint(i), "c.jsonl")
		if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o777), os.WriteFile(file, []byte(tt.file), 0o666)); err != nil {
			t.Fatal(err)
		}
		_, err := cassette.Open(file, cassette.Replay)
		var bad *cassette.FileError
		if !errors.As(err, &bad) || !errors.Is(err, core.ErrHarness) || bad.File != file || bad.Line == 0 && tt.name != "empty" {
			t.Errorf("%s: %v", tt.name, err)
		}
		fmt.Fprintf(&text, "%s:\n  %s\n", tt.name, strings.ReplaceAll(fmt.Sprint(err), filepath.Dir(file), "DIR"))
	}
	_, err := cassette.Open(filepath.Join(dir, "none.jsonl"), cassette.Replay)
	if !errors.Is(err, os.ErrNotExist) || !errors.Is(err, core.ErrHarness) {
		t.Errorf("missing: %v", err)
	}
	_, isDir := cassette.Open(dir, cassette.Record)
	fmt.Fprintf(&text, "missing:\n  %v\nfolder:\n  %v\n", err, isDir)
	golden(t, "bad_files.golden", dir, text.String())
}

func TestHarmlessChangesOfTheFile(t *testing.T) {
	file := recordOne(t, nil, topic{Topic: "a"}, topic{Topic: "b"})
	lines := strings.Split(strings.TrimSpace(read(t, file)), "\n")
	for name, text := range map[string]string{
		"CR LF":             strings.Join(lines, "\r\n") + "\r\n",
		"no last newline":   strings.Join(lines, "\n"),
		"other order":       lines[0] + "\n" + lines[2] + "\n" + lines[1] + "\n",
		"spaces":            strings.ReplaceAll(strings.Join(lines, "\n"), `":`, `" : `) + "\n",
		"an edited output":  strings.ReplaceAll(strings.Join(lines, "\n"), "about ", "all about ") + "\n",
		"of another editor": strings.ReplaceAll(strings.Join(lines, "\n"), `"topic":"a"`, `"topic":"\u0061"`) + "\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := cassette.Open(file, cassette.Replay)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if out := must(t, cassette.Recorded[topic, string](c, "writer", nil), "r", "draft", topic{Topic: "a"}); !strings.HasSuffix(out, "about a") {
			t.Errorf("%s: %q", name, out)
		}
	}
}

// Whatever is in the file: an error with its name, or a cassette that can be used.
func FuzzOpen(f *testing.F) {
	text := read(f, recordOne(f, []cassette.Option{cassette.AllowAltered()}, topic{Topic: "a"}, topic{Topic: "sk-proj-1234567890abcdefghij"}))
	f.Add([]byte(text))
	f.Add([]byte(text[:len(text)/2]))
	f.Add([]byte(`{"flujo_cassette":2}`))
	f.Add([]byte(`{"flujo_cassette":1}` + "\n" + `{"key":"x","kind":"http","name":"GET http://x","path":"","n":1,"input":{},"output":{"status":200,"chunks":["data: {}"]}}`))
	f.Add([]byte(`{"flujo_cassette":1}` + "\n" + `{"key":"","kind":"agent","name":"a","path":"p","n":1,"input":{"":null},"output":null}`))
	file := filepath.Join(f.TempDir(), "c.jsonl")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := cassette.Open(file, cassette.Replay)
		var bad *cassette.FileError
		switch {
		case err == nil:
			_, err = call(t, cassette.Recorded[topic, string](c, "writer", nil), "r", "draft", topic{Topic: "none of these"})
			if !errors.Is(err, core.ErrHarness) || c.Verify() == nil {
				t.Errorf("a made-up request: %v", err)
			}
		case !errors.As(err, &bad) || bad.File != file || bad.Line < 0:
			t.Errorf("%v", err)
		}
	})
}
