package redact

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// texts adds every string of a file of results to set: names, messages and output.
func texts(t *testing.T, file string, set map[string]bool) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(file, ".xml") {
		d := xml.NewDecoder(bytes.NewReader(data))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			switch x := token.(type) {
			case xml.StartElement:
				for _, a := range x.Attr {
					set[a.Value] = true
				}
			case xml.CharData:
				set[string(x)] = true
			}
		}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := token.(string); ok {
			set[s] = true
		}
	}
}

// Nothing in the names and messages of real results is a secret.
func TestRealResultsAreLeftAlone(t *testing.T) {
	files, err := filepath.Glob("../../reports/testdata/*-*-*-*.gz")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	set := map[string]bool{}
	for _, file := range files {
		texts(t, file, set)
	}
	t.Logf("%d distinct texts", len(set))
	if len(set) < 1000 {
		t.Fatalf("only %d texts", len(set))
	}
	for s := range set {
		if got := new(Redactor).Text(s); got != s {
			t.Errorf("%q\nbecame %q", s, got)
		}
	}
}
