package core

import "github.com/flujo/flujo-harness/core/internal/codec"

// Ended is how one branch of a [Parallel], or one item of a [Map], ended.
type Ended[S any] struct {
	Name  string // of the branch; "#1" for the first item
	Scope S      // the branch's own copy, as it left it
	Err   error  // nil where the branch succeeded
}

// Disjoint is a merge function for [Parallel]: it takes over what each branch that
// succeeded changed against into, the scope before the fork. Two that changed the
// same to different values are a [*ConflictError], and into stays as it was.
//
// Structs are compared field by field, also behind pointers, and maps entry by
// entry; everything else, a slice or the value of an entry too, as a whole.
// Times are the same where instant and offset are. The branches' values end up
// in into and must not be used after.
func Disjoint[S any](into *S, branches []Ended[S]) error {
	var names []string
	var scopes []*S
	for i := range branches {
		if branches[i].Err == nil {
			names = append(names, branches[i].Name)
			scopes = append(scopes, &branches[i].Scope)
		}
	}
	return codec.Merge(into, names, scopes)
}
