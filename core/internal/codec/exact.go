package codec

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
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

// maxDepth is how many objects and arrays within each other encoding/json reads.
const maxDepth = 10_000

// maxPath is how many bytes of a path an error shows: what is nested too deeply
// has one that nobody reads.
const maxPath = 400

// spot is an object in memory: a struct and its first field are two at one address.
type spot struct {
	addr uintptr
	typ  reflect.Type
}

// span is memory that a pointer or a slice leads to.
type span struct {
	spot
	size    uintptr
	pointer bool
}

// walker looks for what would not come back. It keeps no paths: a fault collects
// its own on the way back up.
type walker struct {
	doubles bool // are allowed
	points  bool // the type has pointers: memory is compared
	try     bool // marshal every opaque value, to find the one that fails
	depth   int
	seen    map[spot]bool
	spans   []span
}

// fault is what the walk found, or where it found what it wanted.
type fault struct {
	parts   []string // of the path, from the last on
	problem string
	double  string // type of a test double
	again   spot   // seen before
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
	if f.double != "" {
		return &DoubleError{Field: path, Type: f.double}
	}
	return &ValueError{Field: path, Problem: f.problem}
}

// check walks the value behind v, a pointer to what s describes.
func (w *walker) check(s *shape, v reflect.Value) error {
	if w.points {
		w.spans = append(w.spans, span{spot{v.Pointer(), v.Type()}, s.typ.Size(), false})
	}
	f := w.walk(s, v.Elem())
	if f == nil {
		f = w.overlap(s, v)
	}
	if f == nil {
		return nil
	}
	if f.again != (spot{}) {
		// Both are looked for again, as maps are walked in no order.
		first := (&fault{parts: find(s, v, f.again, 1)}).path()
		f = &fault{parts: find(s, v, f.again, 2)}
		f.problem = fmt.Sprintf("it is also stored at %s and would come back as two: keep one and an identifier of it", named(first))
		if rest, inside := strings.CutPrefix(f.path(), first); inside && rest != "" && (first == "" || strings.ContainsAny(rest[:1], ".[")) {
			f.problem = fmt.Sprintf("it leads back to %s, of which it is a part: keep an identifier instead", named(first))
		}
	}
	return f.err()
}

// overlap finds a pointer into what is stored elsewhere. Two slices may share
// memory: nothing is promised about what an append to one does to the other.
func (w *walker) overlap(s *shape, v reflect.Value) *fault {
	slices.SortFunc(w.spans, func(a, b span) int { return cmp.Compare(a.addr, b.addr) })
	var any, ptr span // that reach farthest
	for _, sp := range w.spans {
		other := any
		if !sp.pointer {
			other = ptr
		}
		if sp.addr < other.addr+other.size {
			if !sp.pointer {
				sp, other = other, sp
			}
			into := (&fault{parts: find(s, v, other.spot, 1)}).path()
			return &fault{parts: find(s, v, sp.spot, 1), problem: fmt.Sprintf("it points into %s and would come back as a copy: keep an index or an identifier instead", named(into))}
		}
		if sp.addr+sp.size > any.addr+any.size {
			any = sp
		}
		if sp.pointer && sp.addr+sp.size > ptr.addr+ptr.size {
			ptr = sp
		}
	}
	return nil
}

// find returns the path, from the last part on, of the nth place that leads to an
// object, in an order that is the same every time. Without one it is the path of
// the value itself.
func find(s *shape, v reflect.Value, want spot, nth int) []string {
	f := finder{want: want, left: nth, seen: map[object]bool{}}
	f.find(s, v.Elem())
	return f.parts
}

type finder struct {
	want  spot
	left  int
	seen  map[object]bool
	parts []string
}

func (f *finder) find(s *shape, v reflect.Value) bool {
	if s.form == dynamic && !v.IsNil() {
		v = v.Elem()
		if s = dynamicShapes[v.Type()]; s == nil {
			return false
		}
	}
	within := func(part string, s *shape, v reflect.Value) bool {
		found := f.find(s, v)
		if found {
			f.parts = append(f.parts, part)
		}
		return found
	}
	switch s.form {
	case pointer, table, list:
		if v.IsNil() {
			return false
		}
		at := object{spot: spot{v.Pointer(), s.typ}}
		if at.spot == f.want {
			if f.left--; f.left == 0 {
				return true
			}
		}
		if s.form == list {
			at.len = v.Len()
		}
		if f.seen[at] {
			return false
		}
		f.seen[at] = true
	}
	switch s.form {
	case pointer:
		return f.find(s.elem, v.Elem())
	case record:
		for _, field := range s.fields {
			if within("."+field.name, field.shape, v.Field(field.index)) {
				return true
			}
		}
	case table:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(keyPart(a), keyPart(b)) })
		for _, k := range keys {
			if within(keyPart(k), s.elem, v.MapIndex(k)) {
				return true
			}
		}
	case list, array:
		for i := range v.Len() {
			if within(fmt.Sprintf("[%d]", i), s.elem, v.Index(i)) {
				return true
			}
		}
	}
	return false
}

// skips reports whether there is nothing to see in the values of a type. Where
// memory is compared, slices are to be seen whatever they hold.
func (w *walker) skips(s *shape) bool {
	return s.sound && !w.try && (s.plain || !w.points)
}

func (w *walker) walk(s *shape, v reflect.Value) *fault {
	if w.skips(s) {
		return nil
	}
	switch s.form {
	case floating:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return &fault{problem: fmt.Sprintf("JSON has no %v: use a pointer or a flag for no value", f)}
		}
	case text:
		return utf8Fault(v.String())
	case number:
		return numberFault(v.String())
	case raw:
		return rawFault(v.Bytes())
	case moment:
		return momentFault(v.Addr().Interface().(*time.Time)) // by address: no allocation
	case opaque, double:
		if s.form == double && !w.doubles {
			return &fault{double: s.typ.String()}
		}
		if w.try {
			if _, err := json.Marshal(v.Addr().Interface()); err != nil {
				return &fault{problem: err.Error()}
			}
		}
	case dynamic:
		return w.dynamic(v)
	case pointer:
		return w.pointer(s, v)
	case record, list, array, table:
		if (s.form == list || s.form == table) && v.IsNil() {
			return nil
		}
		if w.depth++; w.depth > maxDepth {
			return &fault{problem: fmt.Sprintf("it is nested deeper than %d levels, which cannot be read back: keep it flat, with identifiers", maxDepth)}
		}
		defer func() { w.depth-- }()
		return w.within(s, v)
	}
	return nil
}

// within walks what consists of others.
func (w *walker) within(s *shape, v reflect.Value) *fault {
	switch s.form {
	case record:
		for i := range s.fields {
			f := &s.fields[i]
			if f.omit == nil && w.skips(f.shape) {
				continue
			}
			if bad := w.field(f, v.Field(f.index)); bad != nil {
				return bad.within("." + f.name)
			}
		}
	case table:
		return w.table(s, v)
	default:
		if s.form == list && w.points && v.Len() > 0 {
			w.spans = append(w.spans, span{spot{v.Pointer(), s.typ}, uintptr(v.Len()) * s.elem.typ.Size(), false})
		}
		if w.skips(s.elem) {
			return nil
		}
		for i := range v.Len() {
			if bad := w.walk(s.elem, v.Index(i)); bad != nil {
				return bad.within(fmt.Sprintf("[%d]", i))
			}
		}
	}
	return nil
}

func (w *walker) field(f *field, v reflect.Value) *fault {
	if f.omit == nil || !f.omit(v) {
		if f.flat {
			w.depth-- // no object of its own
			defer func() { w.depth++ }()
		}
		return w.walk(f.shape, v)
	}
	if !v.IsZero() || negativeZero(v) {
		return &fault{problem: "its tag leaves it out although it is not the zero value: remove omitempty or omitzero"}
	}
	return nil
}

// negativeZero reports a -0 in what reflect takes for zero.
func negativeZero(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		return math.Signbit(v.Float())
	case reflect.Array:
		for i := range v.Len() {
			if negativeZero(v.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		for _, f := range v.Fields() {
			if negativeZero(f) {
				return true
			}
		}
	}
	return false
}

// again notes an object that must not be stored twice.
func (w *walker) again(s *shape, v reflect.Value) *fault {
	at := spot{v.Pointer(), s.typ}
	if w.seen[at] {
		return &fault{again: at}
	}
	if w.seen == nil {
		w.seen = map[spot]bool{}
	}
	w.seen[at] = true
	return nil
}

func (w *walker) pointer(s *shape, v reflect.Value) *fault {
	if v.IsNil() {
		return nil
	}
	to := s.elem
	if to.form == double {
		return w.walk(to, v.Elem())
	}
	if size := to.typ.Size(); size > 0 { // objects without a size may share an address
		if f := w.again(s, v); f != nil {
			return f
		}
		if w.points {
			w.spans = append(w.spans, span{spot{v.Pointer(), s.typ}, size, true})
		}
	}
	if to.form == raw && string(v.Elem().Bytes()) == "null" {
		return &fault{problem: "a pointer to null would come back as nil: use a json.RawMessage without the pointer"}
	}
	return w.walk(to, v.Elem())
}

func (w *walker) table(s *shape, v reflect.Value) *fault {
	if f := w.again(s, v); f != nil {
		return f
	}
	if s.key == leaf && w.skips(s.elem) {
		return nil
	}
	// One key and one element for all entries: a map has none to point at.
	k, e := reflect.New(s.typ.Key()).Elem(), reflect.New(s.elem.typ).Elem()
	for it := v.MapRange(); it.Next(); {
		k.SetIterKey(it)
		f := keyFault(s.key, k)
		if f == nil {
			e.SetIterValue(it)
			f = w.walk(s.elem, e)
		}
		if f != nil {
			return f.within(keyPart(k))
		}
	}
	return nil
}

func keyPart(k reflect.Value) string {
	if k.Kind() == reflect.String {
		return fmt.Sprintf("[%q]", k.String())
	}
	if m, ok := k.Interface().(encoding.TextMarshaler); ok {
		b, _ := m.MarshalText()
		return fmt.Sprintf("[%q]", b)
	}
	return fmt.Sprintf("[%v]", k)
}

// keyFault reads the key back where a method does it: two keys that are written
// alike would come back as one.
func keyFault(form form, k reflect.Value) *fault {
	if form == leaf {
		return nil
	}
	written := k.String()
	if k.Kind() != reflect.String {
		b, err := k.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return &fault{problem: "the key cannot be written: " + err.Error()}
		}
		written = string(b)
	}
	if bad := utf8Fault(written); bad != nil || form == text {
		return bad
	}
	back := reflect.New(k.Type())
	data, _ := json.Marshal(written)
	if err := json.Unmarshal(data, back.Interface()); err != nil {
		return &fault{problem: "the key cannot be read back: " + err.Error()}
	}
	if !back.Elem().Equal(k) {
		return &fault{problem: fmt.Sprintf("the key would come back as another one, %v: let UnmarshalText undo what is written", back.Elem())}
	}
	return nil
}

// dynamicShapes are the types that an any is read back as.
var dynamicShapes = func() map[reflect.Type]*shape {
	made := map[reflect.Type]*shape{}
	for _, v := range []any{false, "", 0.0, []any(nil), map[string]any(nil)} {
		t := reflect.TypeOf(v)
		s, err := shapeOf(t)
		if err != nil {
			panic(err) // not possible: the types are fixed
		}
		made[t] = s
	}
	return made
}()

func (w *walker) dynamic(v reflect.Value) *fault {
	if v.IsNil() {
		return nil
	}
	v = v.Elem()
	t := v.Type()
	if s, ok := dynamicShapes[t]; ok {
		if k := t.Kind(); (k == reflect.Slice || k == reflect.Map) && v.IsNil() {
			return &fault{problem: fmt.Sprintf("a nil %s in an any would come back as nil of no type: leave the any nil", t)}
		}
		return w.walk(s, v)
	}
	if isDouble(t) && !(t.Kind() == reflect.Pointer && v.IsNil()) {
		if w.doubles {
			return nil
		}
		return &fault{double: t.String()}
	}
	article, as := "a", "something else"
	if strings.ContainsRune("aeiou", rune(t.String()[0])) {
		article = "an"
	}
	switch k := t.Kind(); {
	case t.Implements(marshalerType) || t.Implements(textMarshalerType) || k == reflect.Pointer:
	case reflect.Int <= k && k <= reflect.Float64:
		as = "float64"
	case k == reflect.String || k == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		as = "string"
	case k == reflect.Bool:
		as = "bool"
	case k == reflect.Slice || k == reflect.Array:
		as = "[]any"
	case k == reflect.Struct || k == reflect.Map:
		as = "map[string]any"
	}
	return &fault{problem: fmt.Sprintf("%s %s in an any would come back as %s: give the field a concrete type", article, t, as)}
}

func utf8Fault(s string) *fault {
	if utf8.ValidString(s) {
		return nil
	}
	return &fault{problem: "it is not valid UTF-8 and would come back with replacement characters: use []byte for other data"}
}

func numberFault(s string) *fault {
	digit := func(b byte) bool { return '0' <= b && b <= '9' }
	// The ends are looked at because json.Valid allows space, strings and the like.
	if n := len(s); n > 0 && (digit(s[0]) || s[0] == '-') && digit(s[n-1]) && json.Valid([]byte(s)) {
		return nil
	}
	return &fault{problem: fmt.Sprintf("%q is not a JSON number: set it to one", s)}
}

func rawFault(raw json.RawMessage) *fault {
	if len(raw) == 0 {
		return &fault{problem: "an empty json.RawMessage would come back as null: set it, or tag the field omitzero and leave it nil"}
	}
	if written, err := json.Marshal(raw); err != nil {
		return &fault{problem: "it is not valid JSON: " + err.Error()}
	} else if !bytes.Equal(written, raw) || !utf8.Valid(raw) {
		return &fault{problem: "it would come back written otherwise: pass it through json.Marshal first"}
	}
	return nil
}

// momentFault refuses what RFC 3339 cannot say.
func momentFault(t *time.Time) *fault {
	if y := t.Year(); y < 0 || y > 9999 {
		return &fault{problem: fmt.Sprintf("the year %d is not within 0 to 9999, which JSON times can say", y)}
	}
	const day = 24 * 60 * 60
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -day || offset >= day {
		return &fault{problem: fmt.Sprintf("its zone is %v from UTC; JSON times can say whole minutes, less than a day: use In or UTC", time.Duration(offset)*time.Second)}
	}
	return nil
}
