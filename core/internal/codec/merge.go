package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
)

// ConflictError is two branches that changed one field to different values.
type ConflictError struct {
	Field         string // like `Scores["a"]`; empty for the scope itself
	First, Second string // names of the branches
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("branches %q and %q both changed %s, to different values: let only one of them change it, or merge with a function of your own",
		e.First, e.Second, named(e.Field))
}

// Merge takes over into into, the scope before a fork, what each of the scopes changed
// against it. names are those of the branches that made the scopes. Two that changed
// the same to different values are a [*ConflictError], and into stays as it was.
//
// Structs are compared field by field, also through pointers, and maps entry by
// entry; everything else, a slice or the value of an entry too, as a whole.
// Times are the same where instant and offset are. The values of the scopes end up
// in into and must not be used after.
func Merge[S any](into *S, names []string, scopes []*S) (err error) {
	defer Contain(&err)
	c, err := New[S]()
	if err != nil {
		return err
	}
	next, err := c.Copy(into)
	if err != nil {
		return err
	}
	m := merger{names: names}
	sides := make([]reflect.Value, len(scopes))
	for i, scope := range scopes {
		sides[i] = reflect.ValueOf(scope).Elem()
	}
	if bad := m.merge(c.shape, reflect.ValueOf(&next).Elem(), reflect.ValueOf(into).Elem(), sides); bad != nil {
		bad.Field = strings.TrimPrefix(bad.Field, ".")
		return bad
	}
	*into = next
	return nil
}

// merger holds what is the same all the way down.
type merger struct {
	names []string        // of the branches
	seen  map[object]bool // pointers, which may lead back
}

// within puts together, on the way back up, where the conflict is.
func (e *ConflictError) within(part string) *ConflictError {
	e.Field = part + e.Field
	return e
}

// merge sets into, a copy of base, to what the sides made of base. A side that is
// not valid has no such entry.
func (m *merger) merge(s *shape, into, base reflect.Value, sides []reflect.Value) *ConflictError {
	first, other := -1, -1 // side that changed it, and one that did otherwise
	for i, side := range sides {
		switch {
		case other >= 0 || same(s, base, side):
		case first < 0:
			first = i
		case !same(s, sides[first], side):
			other = i
		}
	}
	if first < 0 {
		return nil
	}
	if other < 0 && into.CanSet() && sides[first].CanInterface() {
		into.Set(sides[first])
		return nil
	}
	switch {
	case s.form == record:
		return m.record(s, into, base, sides)
	case s.form == table:
		return m.table(s, into, base, sides)
	case s.form == pointer && s.elem.form == record && !base.IsNil():
		for i, side := range sides {
			if side.IsNil() {
				return &ConflictError{First: m.names[first], Second: m.names[max(other, i)]}
			}
		}
		at := object{spot: spot{base.Pointer(), s.typ}}
		if m.seen[at] {
			return nil
		}
		if m.seen == nil {
			m.seen = map[object]bool{}
		}
		m.seen[at] = true
		return m.merge(s.elem, into.Elem(), base.Elem(), each(sides, reflect.Value.Elem))
	}
	return &ConflictError{First: m.names[first], Second: m.names[other]}
}

func each(sides []reflect.Value, part func(reflect.Value) reflect.Value) []reflect.Value {
	parts := make([]reflect.Value, len(sides))
	for i, side := range sides {
		parts[i] = part(side)
	}
	return parts
}

func (m *merger) record(s *shape, into, base reflect.Value, sides []reflect.Value) *ConflictError {
	for _, f := range s.fields {
		part := func(v reflect.Value) reflect.Value { return v.Field(f.index) }
		if bad := m.merge(f.shape, part(into), part(base), each(sides, part)); bad != nil {
			return bad.within("." + f.name)
		}
	}
	return nil
}

// table merges the entries of maps. into is set where it is nil, but never nil
// again: a branch that did that alone was taken over as a whole.
func (m *merger) table(s *shape, into, base reflect.Value, sides []reflect.Value) *ConflictError {
	done := reflect.MakeMap(reflect.MapOf(s.typ.Key(), reflect.TypeFor[bool]()))
	for _, side := range append([]reflect.Value{base}, sides...) {
		for it := side.MapRange(); it.Next(); {
			k := it.Key()
			if done.MapIndex(k).IsValid() {
				continue
			}
			done.SetMapIndex(k, reflect.ValueOf(true))
			first := -1
			old := base.MapIndex(k)
			for i, side := range sides {
				entry := side.MapIndex(k)
				if same(s.elem, old, entry) {
					continue
				}
				if first < 0 {
					first = i
				} else if !same(s.elem, sides[first].MapIndex(k), entry) {
					return &ConflictError{Field: keyPart(k), First: m.names[first], Second: m.names[i]}
				}
			}
			if first < 0 {
				continue
			}
			if into.IsNil() {
				into.Set(reflect.MakeMap(s.typ))
			}
			into.SetMapIndex(k, sides[first].MapIndex(k)) // of one that is removed: not valid, which deletes
		}
	}
	return nil
}

// same compares two values as storage does: floats bit by bit, times by instant
// and offset, opaque values by what they are stored as. Entries that are both
// missing, not valid, are the same.
func same(s *shape, a, b reflect.Value) bool { return (&comparer{}).same(s, a, b) }

// comparer ends cycles as reflect.DeepEqual does: what is being compared is the same.
type comparer struct{ seen map[[2]object]bool }

func (c *comparer) same(s *shape, a, b reflect.Value) bool {
	if !a.IsValid() || !b.IsValid() {
		return a.IsValid() == b.IsValid()
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
	}
	switch s.form {
	case leaf, text, number:
		return a.Equal(b)
	case floating:
		return math.Float64bits(a.Float()) == math.Float64bits(b.Float())
	case moment:
		x, y := a.Interface().(time.Time), b.Interface().(time.Time)
		_, dx := x.Zone()
		_, dy := y.Zone()
		return x.Equal(y) && dx == dy
	case opaque:
		return sameStored(a, b)
	case dynamic:
		if a, b = a.Elem(), b.Elem(); a.Type() == b.Type() {
			if s, err := shapeOf(a.Type()); err == nil {
				return c.same(s, a, b)
			}
		}
	case record:
		for _, f := range s.fields {
			if !c.same(f.shape, a.Field(f.index), b.Field(f.index)) {
				return false
			}
		}
		return true
	case pointer, list, array, table:
		return c.sameParts(s, a, b)
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func (c *comparer) sameParts(s *shape, a, b reflect.Value) bool {
	if s.form != pointer && a.Len() != b.Len() {
		return false
	}
	if s.form != array {
		pair := [2]object{{spot{a.Pointer(), s.typ}, 0}, {spot{b.Pointer(), s.typ}, 0}}
		if s.form == list {
			pair[0].len, pair[1].len = a.Len(), b.Len()
		}
		if pair[0] == pair[1] || c.seen[pair] {
			return true
		}
		if c.seen == nil {
			c.seen = map[[2]object]bool{}
		}
		c.seen[pair] = true
	}
	switch s.form {
	case pointer:
		return c.same(s.elem, a.Elem(), b.Elem())
	case table:
		for it := a.MapRange(); it.Next(); {
			if !c.same(s.elem, it.Value(), b.MapIndex(it.Key())) {
				return false
			}
		}
		return true
	}
	for i := range a.Len() {
		if !c.same(s.elem, a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

// sameStored compares opaque values, of which a copy may lack what is not stored.
func sameStored(a, b reflect.Value) bool {
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return true
	}
	x, err := json.Marshal(reached(a))
	y, bad := json.Marshal(reached(b))
	return err == nil && bad == nil && bytes.Equal(x, y)
}

// reached is the value by its address where it has one, as its marshal method may
// need it: elements of maps have none.
func reached(v reflect.Value) any {
	if v.CanAddr() {
		return v.Addr().Interface()
	}
	return v.Interface()
}
