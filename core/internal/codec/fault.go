package codec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// ValueError is a value that would not come back from storage as it was.
type ValueError struct {
	Field   string // where it is, like `Scores["a"][3].X`; empty for the value itself
	Problem string // why, and what to do
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("%s cannot be stored exactly: %s", named(e.Field), e.Problem)
}

func named(path string) string {
	if path == "" {
		return "the value"
	}
	return path
}

// maxPath is how many bytes of a path an error shows: what is nested too deeply
// has one that nobody reads.
const maxPath = 400

// spot is an object in memory: a struct and its first field are two at one address.
type spot struct {
	addr uintptr
	typ  reflect.Type
}

// fault is what the walk found, with the path to it.
type fault struct {
	parts   []string // of the path, from the last on
	problem string
	again   spot // seen before
}

func (f *fault) within(part string) *fault {
	f.parts = append(f.parts, part)
	return f
}

func (f *fault) path() string {
	slices.Reverse(f.parts)
	defer slices.Reverse(f.parts)
	return strings.TrimPrefix(strings.Join(f.parts, ""), ".")
}

func (f *fault) err() error {
	path := f.path()
	if n := len(path); n > maxPath {
		path = strings.ToValidUTF8(path[:maxPath/2]+"..."+path[n-maxPath/2:], "")
	}
	return &ValueError{Field: path, Problem: f.problem}
}

func notUTF8() *fault {
	return &fault{problem: "it is not valid UTF-8 and would come back with replacement characters: use []byte for other data"}
}
