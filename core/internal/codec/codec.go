package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Codec copies and stores values of one type. A value comes back from storage as
// it was or is refused; of a time that is its instant and its offset, without
// the monotonic reading. It is safe for concurrent use.
type Codec[T any] struct {
	shape *shape
	Lossy bool // a value may come back from storage without what storage does not keep of it, see holds
}

// New checks the type; the error is a [*TypeError].
func New[T any]() (*Codec[T], error) {
	s, err := shapeOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	return &Codec[T]{shape: s, Lossy: s.holds(map[*shape]bool{}, moment, opaque)}, nil
}

// holds reports whether a value may hold one of the given forms. Of two of them
// storage does not keep all: of a time the monotonic reading and the name of its
// zone, of a type with marshal methods what these leave out. User code must not see
// that before a crash and miss it after, so such scopes are read back from what was
// saved.
func (s *shape) holds(seen map[*shape]bool, forms ...form) bool {
	if s == nil || seen[s] {
		return false
	}
	seen[s] = true
	for _, f := range s.fields {
		if f.shape.holds(seen, forms...) {
			return true
		}
	}
	return slices.Contains(forms, s.form) || s.elem.holds(seen, forms...)
}

// Copy returns a value that shares nothing with v that can change, what map
// keys point to apart. Within it is shared what is shared in v.
func (c *Codec[T]) Copy(v *T) (to T, err error) {
	if c.shape.plain {
		return *v, nil
	}
	defer Contain(&err)
	deep := *v // apart from to: a value that failed half-way is not returned
	if err := (&copier{}).deepen(c.shape, reflect.ValueOf(&deep).Elem()); err != nil {
		return to, err
	}
	return deep, nil
}

// Buffer collects encoded values, for which it allocates memory only once. It is not safe
// for concurrent use.
type Buffer struct{ e encoder }

// buffers keep their memory for the next values.
var buffers = sync.Pool{New: func() any { return new(Buffer) }}

// mostKept is the largest buffer that is kept, in bytes.
const mostKept = 1 << 20

// NewBuffer returns an empty buffer.
func NewBuffer() *Buffer { return buffers.Get().(*Buffer) }

// Len returns the number of bytes collected so far.
func (b *Buffer) Len() int { return len(b.e.data) }

// Release returns what was collected. The buffer must not be used afterwards.
func (b *Buffer) Release() []byte {
	written := b.e.data
	data := make([]byte, len(written))
	copy(data, written)
	if cap(written) <= mostKept {
		b.e.data = written[:0]
		buffers.Put(b)
	}
	return data
}

// Append adds v as JSON. After an error the buffer must not be used. The error is a
// [*ValueError] or, where a method of v panicked, a [*PanicError].
func (c *Codec[T]) Append(b *Buffer, v *T) (err error) {
	defer Contain(&err)
	e, from := &b.e, b.Len()
	e.foreign, e.depth, e.seen = false, 0, nil
	if err := e.encode(c.shape, reflect.ValueOf(v)); err != nil {
		return err
	}
	// What marshal methods return may nest as well.
	if data := e.data[from:]; e.foreign && bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxDepth && !json.Valid(data) {
		return &ValueError{Problem: fmt.Sprintf("it is nested deeper than %d levels, which cannot be read back", maxDepth)}
	}
	return nil
}

// Encode returns v as JSON; the error is that of [Codec.Append].
func (c *Codec[T]) Encode(v *T) ([]byte, error) {
	b := NewBuffer()
	if err := c.Append(b, v); err != nil {
		return nil, err
	}
	return b.Release(), nil
}

// Decode reads what Encode wrote, and nothing else. It changes v only on success.
func (c *Codec[T]) Decode(data []byte, v *T) (err error) {
	defer Contain(&err)
	var read T
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&read); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("there is more after the value, from byte %d on", d.InputOffset())
	}
	*v = read
	return nil
}

// Plain reports whether an assignment copies a value.
func (c *Codec[T]) Plain() bool { return c.shape.plain }

// Doubled finds a name that an object in the JSON of a value has twice, of which
// decoding silently takes the last one. In structs it ignores the case of names.
func (c *Codec[T]) Doubled(data []byte) (name string, found bool) {
	return doubled(json.NewDecoder(bytes.NewReader(data)), c.shape)
}

// doubled reads the JSON of a value of shape s, nil where that is not known, and finds
// a name that an object in it has twice: decoding takes the last one in silence. Of a
// struct it takes names in whatever case.
func doubled(d *json.Decoder, s *shape) (name string, found bool) {
	token, err := d.Token()
	open, inner := token.(json.Delim)
	if err != nil || !inner {
		return "", false
	}
	if s != nil && s.form == pointer {
		s = s.elem
	}
	names, part := map[string]bool{}, s
	for d.More() {
		if open == '{' {
			token, err := d.Token()
			if err != nil {
				return "", false
			}
			name := token.(string) // nothing else is a name
			key := name
			if s != nil && s.form == record {
				key, part = s.stored(name)
			}
			if names[key] {
				return name, true
			}
			names[key] = true
		}
		if s != nil && s.form != record {
			part = s.elem
		}
		if name, found := doubled(d, part); found {
			return name, true
		}
	}
	_, _ = d.Token() // the end of it
	return "", false
}

// stored finds the field of a record that a name in JSON stands for: the one of this
// name, or else the first whose name is alike.
func (s *shape) stored(name string) (own string, of *shape) {
	own = name
	for _, f := range s.fields {
		to, in := "", f.shape
		if f.flat {
			to, in = in.stored(name)
		} else {
			to, _, _ = storedName(s.typ.Field(f.index))
		}
		if in != nil && (to == name || of == nil && strings.EqualFold(to, name)) {
			own, of = to, in
		}
	}
	return own, of
}

// copier makes a deep copy of a shallow one. made holds what is copied already,
// so that a cycle ends and what is shared stays shared.
type copier struct {
	made  map[object]reflect.Value
	depth int
}

// object is what a pointer, a map or a slice of some length leads to.
type object struct {
	spot
	len int
}

// deepen replaces, within the settable v, all that it shares with the original.
func (c *copier) deepen(s *shape, v reflect.Value) (err error) {
	if s.plain {
		return nil
	}
	if c.depth++; c.depth > maxDepth {
		return &ValueError{Problem: fmt.Sprintf("it is nested deeper than %d levels: keep it flat, with identifiers", maxDepth)}
	}
	defer func() { c.depth-- }()
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		if v.IsNil() {
			return nil
		}
	}
	if s.clone != nil && v.CanInterface() {
		from := v
		if s.clone.Type.In(0) != s.typ {
			from = v.Addr()
		}
		made, err := cloned(s, from)
		if err != nil {
			return err
		}
		if made.Type() != s.typ {
			made = made.Elem()
		}
		v.Set(made)
		return nil
	}
	switch s.form {
	case raw:
		v.SetBytes(bytes.Clone(v.Bytes()))
	case opaque:
		return c.opaque(v)
	case dynamic:
		return c.dynamic(v)
	case record:
		for i := range s.fields {
			if f := &s.fields[i]; !f.shape.plain {
				if err := c.deepen(f.shape, v.Field(f.index)); err != nil {
					return err
				}
			}
		}
	case array:
		return c.elements(s, v)
	case pointer, list, table:
		return c.reference(s, v)
	}
	return nil
}

// cloned calls the Clone of a value, or of a pointer to one.
func cloned(s *shape, v reflect.Value) (reflect.Value, error) {
	made := s.clone.Func.Call([]reflect.Value{v.Convert(s.clone.Type.In(0))})[0]
	if made.Kind() == reflect.Pointer && made.IsNil() {
		return made, fmt.Errorf("copy a %s: its Clone returned nil", s.typ)
	}
	return made, nil
}

// reference copies what a pointer, a slice or a map leads to.
func (c *copier) reference(s *shape, v reflect.Value) error {
	at := object{spot: spot{v.Pointer(), s.typ}}
	if s.form == list {
		at.len = v.Len()
	}
	if made, ok := c.made[at]; ok {
		v.Set(made)
		return nil
	}
	var made reflect.Value
	var fill func() error
	switch {
	case s.form == list && s.elem.plain: // ends every cycle
		made = reflect.MakeSlice(s.typ, v.Len(), v.Len())
		reflect.Copy(made, v)
		v.Set(made)
		return nil
	case s.form == list:
		made = reflect.MakeSlice(s.typ, v.Len(), v.Len())
		reflect.Copy(made, v)
		fill = func() error { return c.elements(s, made) }
	case s.form == table:
		from := reflect.ValueOf(v.Interface()) // v itself is set below
		made = reflect.MakeMapWithSize(s.typ, v.Len())
		fill = func() error { return c.entries(s, from, made) }
	case s.elem.clone != nil && s.elem.clone.Type.Out(0) == reflect.PointerTo(s.elem.typ):
		var err error
		if made, err = cloned(s.elem, v); err != nil {
			return err
		}
	default:
		made = reflect.New(s.elem.typ)
		made.Elem().Set(v.Elem())
		fill = func() error { return c.deepen(s.elem, made.Elem()) }
	}
	made = made.Convert(s.typ)
	if c.made == nil {
		c.made = map[object]reflect.Value{}
	}
	c.made[at] = made
	v.Set(made)
	if fill == nil {
		return nil
	}
	return fill()
}

func (c *copier) elements(s *shape, v reflect.Value) error {
	if s.elem.plain {
		return nil
	}
	for i := range v.Len() {
		if err := c.deepen(s.elem, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) entries(s *shape, from, to reflect.Value) error {
	// One key and one element for all entries: the map copies them.
	k, e := reflect.New(s.typ.Key()).Elem(), reflect.New(s.elem.typ).Elem()
	for it := from.MapRange(); it.Next(); {
		k.SetIterKey(it)
		e.SetIterValue(it)
		if err := c.deepen(s.elem, e); err != nil {
			return err
		}
		to.SetMapIndex(k, e)
	}
	return nil
}

// dynamic copies what an any holds; of a type that cannot be copied it is the
// [*TypeError].
func (c *copier) dynamic(v reflect.Value) error {
	t := v.Elem().Type()
	s, err := shapeOf(t)
	if err != nil || s.plain {
		return err
	}
	made := reflect.New(t).Elem()
	made.Set(v.Elem())
	if err := c.deepen(s, made); err != nil {
		return err
	}
	v.Set(made)
	return nil
}

// opaque copies as storage would.
func (c *copier) opaque(v reflect.Value) error {
	data, err := json.Marshal(v.Addr().Interface())
	if err != nil {
		return fmt.Errorf("copy a %s: %w", v.Type(), err)
	}
	made := reflect.New(v.Type())
	if err := json.Unmarshal(data, made.Interface()); err != nil {
		return fmt.Errorf("copy a %s: %w", v.Type(), err)
	}
	v.Set(made.Elem())
	return nil
}
