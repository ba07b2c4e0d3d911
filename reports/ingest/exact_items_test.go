package ingest

import (
	"bytes"
	"strings"
	"testing"
)

// A list whose elements are written one by one has the same JSON as one that is encoded as a whole.
func TestListsAreWrittenAsJSONHasThem(t *testing.T) {
	type element struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	all := []element{{"a\x1b", []string{"x"}}, {`"`, nil}, {"<é>", []string{}}}
	type inner struct {
		List any `json:"list"`
	}
	type outer struct {
		First any   `json:"first"`
		In    inner `json:"in"`
		Last  int   `json:"last"`
	}
	for _, indent := range []string{"", " ", "   "} {
		for n := range len(all) + 1 {
			var want, got bytes.Buffer
			if err := EncodeVisibly(&want, outer{all[:n], inner{all[:n]}, 1}, indent); err != nil {
				t.Fatal(err)
			}
			list := func() *Items { return &Items{N: n, At: func(i int) any { return all[i] }} }
			first, second := list(), list()
			if err := EncodeVisibly(&got, outer{first, inner{second}, 1}, indent, first, second); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("indent %q, %d elements:\n%s\nwant\n%s", indent, n, got.String(), want.String())
			}
			if strings.Contains(got.String(), "\x1b") {
				t.Error("a control character is not escaped")
			}
			if err := EncodeVisibly(&got, outer{first, inner{second}, 1}, indent, second, first); err == nil {
				t.Error("lists in another order are not an error")
			}
		}
	}
	if err := EncodeVisibly(&bytes.Buffer{}, &Items{}, ""); err == nil {
		t.Error("a list that is not an argument is not an error")
	}
}
