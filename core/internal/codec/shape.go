package codec

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode"
)

// TypeError is a type that cannot be copied or stored, found before the first run.
type TypeError struct {
	Type    string // that is refused
	Field   string // where it is, like "Order.Items[].cache"; empty for the type itself
	Problem string // why, and what to do
}

func (e *TypeError) Error() string {
	if e.Field == "" || e.Field == e.Type {
		return fmt.Sprintf("type %s cannot be stored: %s", e.Type, e.Problem)
	}
	return fmt.Sprintf("field %s of type %s cannot be stored: %s", e.Field, e.Type, e.Problem)
}

// form is how the values of a type are checked and copied.
type form uint8

const (
	leaf      form = iota // bools and integers
	floating              // NaN and the infinities have no JSON
	text                  // must be UTF-8
	number                // json.Number
	raw                   // json.RawMessage
	moment                // time.Time
	opaque                // has its own marshal methods, which are trusted
	dynamic               // any
	pointer               // to elem
	list                  // slice of elem
	array                 // of elem
	record                // struct
	table                 // map of elem
	keyMethod             // of a key that is read by a method, see keyForm
)

// shape is the plan of a type: what there is to check and to copy. It is
// immutable once shapeOf has returned it.
type shape struct {
	typ       reflect.Type
	form      form
	plain     bool // an assignment copies it
	bare      bool // a record that is stored as its only field, which is embedded
	byPointer bool // opaque, by a method that is called on addressable values only
	clone     *reflect.Method
	key       form
	elem      *shape
	fields    []field
}

// field of a record.
type field struct {
	index   int
	name    string
	shape   *shape
	key     []byte                   // a comma, its name in JSON and a colon
	flat    bool                     // embedded: stored as fields of the outer struct
	quoted  bool                     // written as a string
	omit    func(reflect.Value) bool // left out of the JSON; nil: never
	special bool                     // flat, quoted or with omit
}

var (
	shapes sync.Map // reflect.Type to *shape

	timeType            = reflect.TypeFor[time.Time]()
	rawType             = reflect.TypeFor[json.RawMessage]()
	numberType          = reflect.TypeFor[json.Number]()
	marshalerType       = reflect.TypeFor[json.Marshaler]()
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	textMarshalerType   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	zeroerType          = reflect.TypeFor[interface{ IsZero() bool }]()
)

// shapeOf returns the plan of a type; the error is a [*TypeError].
func shapeOf(t reflect.Type) (*shape, error) {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape), nil
	}
	b := shaper{made: map[reflect.Type]*shape{}}
	s, err := b.shape(t, t.Name())
	for i := 0; err == nil && i < len(b.tables); i++ {
		err = unaddressed(b.tables[i].elem, b.paths[i]+"[]")
	}
	if err != nil {
		return nil, err
	}
	for t, s := range b.made {
		shapes.LoadOrStore(t, s)
	}
	return s, nil
}

// shaper makes the shapes of one type and of all it is made of. made holds
// unfinished ones too, by which a recursive type finds itself: not plain, as no type is
// that can reach itself.
type shaper struct {
	made   map[reflect.Type]*shape
	tables []*shape // whose elements are looked at when all is made
	paths  []string // of the tables
}

func refused(t reflect.Type, path, problem string, args ...any) error {
	return &TypeError{Type: t.String(), Field: path, Problem: fmt.Sprintf(problem, args...)}
}

func (b *shaper) shape(t reflect.Type, path string) (*shape, error) {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape), nil
	}
	if s, ok := b.made[t]; ok {
		return s, nil
	}
	s := &shape{typ: t}
	b.made[t] = s
	if err := b.fill(s, path); err != nil {
		return nil, err
	}
	s.clone = cloneOf(t)
	s.plain = s.plain && s.clone == nil
	return s, nil
}

func (b *shaper) fill(s *shape, path string) error {
	t := s.typ
	s.plain = true
	switch {
	case t == timeType:
		s.form = moment
		return nil
	case t == rawType:
		s.form, s.plain = raw, false
		return nil
	case t == numberType:
		s.form = number
		return nil
	}
	if own, err := s.methods(path); own || err != nil {
		return err
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Uintptr,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Float32, reflect.Float64:
		s.form = floating
		return nil
	case reflect.String:
		s.form = text
		return nil
	case reflect.Struct:
		return b.record(s, path)
	}
	s.plain = false
	switch t.Kind() {
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return refused(t, path, "what an interface holds cannot be read back: give the type that holds it MarshalJSON and UnmarshalJSON, or use a concrete type")
		}
		s.form = dynamic
		return nil
	case reflect.Pointer:
		return b.pointer(s, path)
	case reflect.Slice, reflect.Array, reflect.Map:
		return b.container(s, path)
	}
	return refused(t, path, "a %s has no stored form: keep it out of the scope", t.Kind())
}

func (b *shaper) container(s *shape, path string) (err error) {
	t := s.typ
	if t.Kind() == reflect.Map {
		s.form = table
		b.tables, b.paths = append(b.tables, s), append(b.paths, path)
		if s.key, err = keyForm(t.Key(), path+"[key]"); err != nil {
			return err
		}
		s.elem, err = b.shape(t.Elem(), path+"[]")
		return err
	}
	if s.elem, err = b.shape(t.Elem(), path+"[]"); err != nil {
		return err
	}
	if s.form = list; t.Kind() == reflect.Array {
		s.form, s.plain = array, s.elem.plain
	}
	return nil
}

func (b *shaper) pointer(s *shape, path string) (err error) {
	s.form = pointer
	// Looked at before its shape is made: a type may be a pointer to itself.
	to := s.typ.Elem()
	if own, _ := (&shape{typ: to}).methods(path); !own {
		switch to.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
			return refused(s.typ, path, "a pointer to a nil %s would come back as nil: use the %[1]s without the pointer", to.Kind())
		}
	}
	s.elem, err = b.shape(to, path)
	return err
}

// methods makes an opaque shape of a type with marshal methods of its own.
func (s *shape) methods(path string) (own bool, err error) {
	t := s.typ
	if k := t.Kind(); k == reflect.Pointer || k == reflect.Interface {
		return false, nil
	}
	// All but the elements of maps is reached by its address, and those are too
	// when they are read.
	p := reflect.PointerTo(t)
	write, read, as := marshalerType, unmarshalerType, "JSON"
	if !p.Implements(write) && !p.Implements(read) {
		write, read, as = textMarshalerType, textUnmarshalerType, "Text"
	}
	switch writes, reads := p.Implements(write), p.Implements(read); {
	case !writes && !reads:
		return false, nil
	case !reads:
		return false, refused(t, path, "it has Marshal%s but not Unmarshal%[1]s: add it", as)
	case !writes:
		return false, refused(t, path, "it has Unmarshal%s but not Marshal%[1]s: add it", as)
	}
	if t.Kind() == reflect.Struct && t.NumField() > 0 && (promoted(t, "Marshal"+as) || promoted(t, "Unmarshal"+as)) {
		if f := t.Field(0); t.NumField() == 1 && f.IsExported() {
			s.bare = true
			return false, nil // as good as the embedded value, which is looked at
		} else if t.NumField() > 1 {
			return false, refused(t, path, "it is stored by the Marshal%s or Unmarshal%[1]s of an embedded field, which knows nothing of the other fields: name that field", as)
		}
	}
	s.form = opaque
	s.plain, s.byPointer = !pointsOn(t), !t.Implements(write)
	return true, nil
}

// promoted reports whether a struct has a method from an embedded field only.
// Where both may have declared it, the position in the source decides: what the
// compiler wrote has none.
func promoted(t reflect.Type, name string) bool {
	embedded := false
	for f := range t.Fields() {
		if f.Anonymous {
			_, value := method(f.Type, name)
			_, ptr := method(reflect.PointerTo(f.Type), name)
			embedded = embedded || value || ptr
		}
	}
	if !embedded {
		return false
	}
	m, ok := method(t, name)
	if !ok {
		m, ok = method(reflect.PointerTo(t), name)
	}
	if !ok {
		return false
	}
	pc := m.Func.Pointer()
	file, _ := runtime.FuncForPC(pc).FileLine(pc)
	return file == "<autogenerated>"
}

// method asks by constant names, for which the linker keeps no other methods.
func method(t reflect.Type, name string) (reflect.Method, bool) {
	switch name {
	case "MarshalJSON":
		return t.MethodByName("MarshalJSON")
	case "UnmarshalJSON":
		return t.MethodByName("UnmarshalJSON")
	case "MarshalText":
		return t.MethodByName("MarshalText")
	}
	return t.MethodByName("UnmarshalText")
}

// cloneOf finds a method Clone() T of T, or Clone() *T of *T.
func cloneOf(t reflect.Type) *reflect.Method {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return nil
	}
	for _, on := range []reflect.Type{t, reflect.PointerTo(t)} {
		if m, ok := on.MethodByName("Clone"); ok && m.Type.NumIn() == 1 && m.Type.NumOut() == 1 && m.Type.Out(0) == on {
			return &m
		}
	}
	return nil
}

// pointsOn reports whether an assignment of an opaque type would share memory
// that can change.
func pointsOn(t reflect.Type) bool {
	if t == timeType || t.PkgPath() == "unique" {
		return false // a location and what a handle stands for never change
	}
	switch t.Kind() {
	case reflect.Array:
		return pointsOn(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if pointsOn(f.Type) {
				return true
			}
		}
		return false
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	}
	return false
}

// keyForm says how the keys of a map are stored: as encoding/json writes and
// reads them, which for strings and for methods is not one rule.
func keyForm(t reflect.Type, path string) (form, error) {
	writes, reads := t.Implements(textMarshalerType), reflect.PointerTo(t).Implements(textUnmarshalerType)
	switch k := t.Kind(); {
	case k == reflect.Interface || k == reflect.Pointer:
		return 0, refused(t, path, "a key cannot be read back into it: use a string, an integer or a type with MarshalText and UnmarshalText")
	case reads && (writes || k == reflect.String):
		return keyMethod, nil
	case k == reflect.String:
		return text, nil // written unchanged, whatever its MarshalText
	case writes:
		return 0, refused(t, path, "the key has MarshalText but not UnmarshalText: add it")
	case reads:
		return 0, refused(t, path, "the key has UnmarshalText but not MarshalText, or not on the value: add it")
	case reflect.Int <= k && k <= reflect.Uintptr:
		return leaf, nil
	}
	return 0, refused(t, path, "a key must be a string, an integer or a type with MarshalText and UnmarshalText")
}

// unaddressed refuses what lies within the element of a map, which has no
// address, and is stored by a method of its pointer, which is then not called.
func unaddressed(s *shape, path string) error {
	switch {
	case s.byPointer:
		return refused(s.typ, path, "its marshal method is on the pointer and is not called for elements of a map: use a map of pointers, or declare the method on the value")
	case s.form == array:
		return unaddressed(s.elem, path+"[]")
	case s.form == record:
		for _, f := range s.fields {
			if err := unaddressed(f.shape, path+"."+f.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// record makes the shape of a struct.
func (b *shaper) record(s *shape, path string) error {
	s.form, s.plain = record, false // until all fields are known: one may lead back here
	plain := true
	if err := storedNames(s.typ, path, "", map[string]string{}); err != nil {
		return err
	}
	for i := range s.typ.NumField() {
		sf := s.typ.Field(i)
		if sf.Name == "_" {
			continue // nothing can be in it
		}
		at := path + "." + sf.Name
		tag, opts, flat := storedName(sf)
		embedded := sf.Anonymous && sf.Type.Kind() == reflect.Struct
		switch {
		case sf.Anonymous && sf.Type.Kind() == reflect.Pointer:
			return refused(sf.Type, at, "an embedded pointer is lost where it is nil: name the field")
		case !sf.IsExported() && !embedded:
			return refused(sf.Type, at, "an unexported field is not stored and would be lost: export it, or keep it out of the scope")
		case tag == "":
			return refused(sf.Type, at, `a field with json:"-" is not stored and would be lost: remove the tag, or keep the field out of the scope`)
		}
		fs, err := b.shape(sf.Type, at)
		if err != nil {
			return err
		}
		own := fs.form == opaque || fs.form == moment
		scalar := fs
		if fs.form == pointer {
			scalar = fs.elem
		}
		k := sf.Type.Kind()
		switch {
		case embedded && own && s.typ.NumField() > 1:
			return refused(sf.Type, at, "an embedded field with marshal methods of its own is stored by its fields or not at all: name the field")
		case opts["omitempty"] && (k == reflect.Slice || k == reflect.Map):
			return refused(sf.Type, at, "with omitempty an empty %s would come back as nil: use omitzero", k)
		case opts["string"] && scalar.form == opaque && (scalar.typ.Kind() <= reflect.Float64 || scalar.typ.Kind() == reflect.String):
			return refused(sf.Type, at, "the tag option string does not go with a marshal method of its own: remove it")
		}
		f := field{index: i, name: sf.Name, shape: fs, flat: flat, quoted: opts["string"] && isScalar(scalar)}
		switch {
		case opts["omitzero"]:
			f.omit = omitZero(sf.Type, opts["omitempty"])
		case opts["omitempty"]:
			f.omit = isEmpty
		}
		f.special = f.flat || f.quoted || f.omit != nil
		var e encoder
		_ = e.text(tag) // names are of letters, digits and some signs
		f.key = append(append([]byte{','}, e.data...), ':')
		s.fields = append(s.fields, f)
		plain = plain && fs.plain
	}
	s.plain = plain
	return nil
}

// isScalar reports whether the tag option string has a meaning for values of this shape.
func isScalar(s *shape) bool {
	k := s.typ.Kind()
	return s.form != opaque && (reflect.Bool <= k && k <= reflect.Float64 || k == reflect.String)
}

// storedNames refuses two fields stored under one name, of which encoding/json
// drops one or both.
func storedNames(t reflect.Type, path, within string, names map[string]string) error {
	for sf := range t.Fields() {
		name, _, flat := storedName(sf)
		if name == "" || !sf.IsExported() && !(sf.Anonymous && sf.Type.Kind() == reflect.Struct) {
			continue
		}
		if flat {
			if err := storedNames(sf.Type, path, within+sf.Name+".", names); err != nil {
				return err
			}
			continue
		}
		if first, ok := names[name]; ok {
			return refused(t, path+"."+within+sf.Name, "it is stored under the name %q, as %s is: give one of them another name", name, path+"."+first)
		}
		names[name] = within + sf.Name
	}
	return nil
}

// storedName reads the json tag as encoding/json does. A field that is left out has no
// name, and a flat one has none of its own.
func storedName(sf reflect.StructField) (name string, opts map[string]bool, flat bool) {
	tag := sf.Tag.Get("json")
	if tag == "-" {
		return "", nil, false
	}
	parts := strings.Split(tag, ",")
	opts = map[string]bool{}
	for _, o := range parts[1:] {
		opts[o] = true
	}
	bad := func(r rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	if name = parts[0]; name != "" && !strings.ContainsFunc(name, bad) {
		return name, opts, false
	}
	return sf.Name, opts, sf.Anonymous && sf.Type.Kind() == reflect.Struct
}

// isEmpty is what omitempty leaves out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// omitZero is what omitzero leaves out of a field of type t, by its IsZero method
// where it has one.
func omitZero(t reflect.Type, empty bool) func(reflect.Value) bool {
	zero := reflect.Value.IsZero
	switch {
	case t.Implements(zeroerType):
		zero = func(v reflect.Value) bool {
			return v.Kind() == reflect.Pointer && v.IsNil() || v.Interface().(interface{ IsZero() bool }).IsZero()
		}
	case reflect.PointerTo(t).Implements(zeroerType):
		zero = func(v reflect.Value) bool {
			p := reflect.New(t)
			p.Elem().Set(v)
			return p.Interface().(interface{ IsZero() bool }).IsZero()
		}
	}
	return func(v reflect.Value) bool { return zero(v) || empty && isEmpty(v) }
}
