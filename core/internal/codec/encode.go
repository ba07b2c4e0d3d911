package codec

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxDepth is how many objects and arrays within each other encoding/json reads.
const maxDepth = 10_000

// encoder writes a value as encoding/json does, and checks it in the same walk. It keeps
// no paths: a fault collects its own on the way back up.
type encoder struct {
	data    []byte
	foreign bool // data has bytes that marshal methods returned
	depth   int
	seen    map[spot]bool
	want    spot // the walk ends where it is met; zero: nowhere

	// Strings of this and earlier values that are written unchanged, by their lengths. A run
	// stores most strings of its scope again with each step, and to compare a string with itself
	// takes the same time whatever its length.
	plain [16]string
}

// Lengths of the strings that an encoder keeps, in bytes. Shorter ones are checked as fast.
const (
	leastPlain = 8
	mostPlain  = 16 << 10
)

// encode appends the value that v points to, which s describes, to e.data.
func (e *encoder) encode(s *shape, v reflect.Value) error {
	f := e.value(s, v.Elem())
	switch {
	case f == nil:
		return nil
	case f.again != (spot{}):
		first := (&encoder{want: f.again}).value(s, v.Elem()).path()
		f.problem = fmt.Sprintf("it is also stored at %s and would come back as two: keep one and an identifier of it", named(first))
		if rest, inside := strings.CutPrefix(f.path(), first); inside && rest != "" && (first == "" || strings.ContainsAny(rest[:1], ".[")) {
			f.problem = fmt.Sprintf("it leads back to %s, of which it is a part: keep an identifier instead", named(first))
		}
	}
	return f.err()
}

func (e *encoder) value(s *shape, v reflect.Value) *fault {
	switch s.form {
	case leaf:
		e.leaf(v)
		return nil
	case floating:
		return e.floating(v)
	case text:
		return e.text(v.String())
	case number:
		e.data = append(e.data, v.String()...)
		return numberFault(v.String())
	case moment:
		return e.moment(v)
	case raw:
		e.data, e.foreign = append(e.data, v.Bytes()...), true
		return rawFault(v.Bytes())
	case opaque:
		return e.marshal(v)
	case dynamic:
		if !v.IsNil() {
			return e.dynamic(v.Elem())
		}
	case pointer:
		if !v.IsNil() {
			return e.pointer(s, v)
		}
	case record:
		return e.record(s, v)
	case array:
		return e.list(s, v)
	case list:
		if !v.IsNil() {
			return e.list(s, v)
		}
	case table:
		if !v.IsNil() {
			return e.table(s, v)
		}
	}
	e.data = append(e.data, "null"...)
	return nil
}

func (e *encoder) leaf(v reflect.Value) {
	switch k := v.Kind(); {
	case k == reflect.Bool:
		e.data = strconv.AppendBool(e.data, v.Bool())
	case v.CanInt():
		e.data = strconv.AppendInt(e.data, v.Int(), 10)
	default:
		e.data = strconv.AppendUint(e.data, v.Uint(), 10)
	}
}

// floating writes a number as ECMAScript does, with the exponent that encoding/json leaves
// out a leading zero of.
func (e *encoder) floating(v reflect.Value) *fault {
	f, bits := v.Float(), v.Type().Bits()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return &fault{problem: fmt.Sprintf("JSON has no %v: use a pointer or a flag for no value", f)}
	}
	least, most := 1e-6, 1e21
	if bits == 32 {
		least, most = float64(float32(1e-6)), float64(float32(1e21))
	}
	if abs := math.Abs(f); abs == 0 || abs >= least && abs < most {
		e.data = strconv.AppendFloat(e.data, f, 'f', -1, bits)
		return nil
	}
	e.data = strconv.AppendFloat(e.data, f, 'e', -1, bits)
	if n := len(e.data); e.data[n-2] == '0' && e.data[n-4] == 'e' {
		e.data = append(e.data[:n-2], e.data[n-1])
	}
	return nil
}

// moment refuses what RFC 3339 cannot say.
func (e *encoder) moment(v reflect.Value) *fault {
	var t time.Time
	if v.CanAddr() {
		t = *v.Addr().Interface().(*time.Time) // by address: no allocation
	} else {
		t = v.Interface().(time.Time)
	}
	if y := t.Year(); y < 0 || y > 9999 {
		return &fault{problem: fmt.Sprintf("the year %d is not within 0 to 9999, which JSON times can say", y)}
	}
	const day = 24 * 60 * 60
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -day || offset >= day {
		return &fault{problem: fmt.Sprintf("its zone is %v from UTC; JSON times can say whole minutes, less than a day: use In or UTC", time.Duration(offset)*time.Second)}
	}
	e.data = append(t.AppendFormat(append(e.data, '"'), time.RFC3339Nano), '"')
	return nil
}

// marshal writes a value by its own methods.
func (e *encoder) marshal(v reflect.Value) *fault {
	data, err := json.Marshal(reached(v))
	if err != nil {
		return &fault{problem: err.Error()}
	}
	e.data, e.foreign = append(e.data, data...), true
	return nil
}

// deeper counts an object or an array.
func (e *encoder) deeper() *fault {
	if e.depth++; e.depth > maxDepth {
		return &fault{problem: fmt.Sprintf("it is nested deeper than %d levels, which cannot be read back: keep it flat, with identifiers", maxDepth)}
	}
	return nil
}

// enter begins an array or a map.
func (e *encoder) enter(open byte) *fault {
	e.data = append(e.data, open)
	return e.deeper()
}

// leave ends an array or a map, in place of the comma after its last part.
func (e *encoder) leave(end byte) {
	e.depth--
	if last := len(e.data) - 1; e.data[last] == ',' {
		e.data[last] = end
		return
	}
	e.data = append(e.data, end)
}

func (e *encoder) record(s *shape, v reflect.Value) *fault {
	if s.bare {
		f := s.fields[0]
		if bad := e.value(f.shape, v.Field(f.index)); bad != nil {
			return bad.within("." + f.name)
		}
		return nil
	}
	if bad := e.deeper(); bad != nil {
		return bad
	}
	from := len(e.data)
	if bad := e.fields(s, v); bad != nil {
		return bad
	}
	e.depth--
	if len(e.data) == from {
		e.data = append(e.data, '{')
	}
	e.data[from] = '{' // in place of the comma before the first field
	e.data = append(e.data, '}')
	return nil
}

// fields writes the fields of a record, each after a comma.
func (e *encoder) fields(s *shape, v reflect.Value) (bad *fault) {
	for i := range s.fields {
		f := &s.fields[i]
		if f.special {
			bad = e.special(f, v.Field(f.index))
		} else {
			e.data = append(e.data, f.key...)
			bad = e.value(f.shape, v.Field(f.index))
		}
		if bad != nil {
			return bad.within("." + f.name)
		}
	}
	return nil
}

// special writes a field that is embedded or has an option in its tag.
func (e *encoder) special(f *field, v reflect.Value) *fault {
	if f.omit != nil && f.omit(v) {
		if !v.IsZero() || negativeZero(v) {
			return &fault{problem: "its tag leaves it out although it is not the zero value: remove omitempty or omitzero"}
		}
		return nil
	}
	if f.flat {
		return e.fields(f.shape, v)
	}
	e.data = append(e.data, f.key...)
	from := len(e.data)
	if bad := e.value(f.shape, v); bad != nil || !f.quoted {
		return bad
	}
	return e.quote(from)
}

// quote puts what was written since then into a string.
func (e *encoder) quote(from int) *fault {
	written := string(e.data[from:])
	if written == "null" {
		return nil // a nil pointer
	}
	e.data = e.data[:from]
	return e.text(written)
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

func (e *encoder) list(s *shape, v reflect.Value) *fault {
	if s.form == list && s.elem.form == leaf && s.elem.typ.Kind() == reflect.Uint8 {
		e.data = append(base64.StdEncoding.AppendEncode(append(e.data, '"'), v.Bytes()), '"')
		return nil
	}
	if bad := e.enter('['); bad != nil {
		return bad
	}
	for i := range v.Len() {
		if bad := e.value(s.elem, v.Index(i)); bad != nil {
			return bad.within(fmt.Sprintf("[%d]", i))
		}
		e.data = append(e.data, ',')
	}
	e.leave(']')
	return nil
}

// again notes an object that must not be stored twice.
func (e *encoder) again(s *shape, v reflect.Value) *fault {
	at := spot{v.Pointer(), s.typ}
	if e.seen[at] || at == e.want {
		return &fault{again: at}
	}
	if e.seen == nil {
		e.seen = map[spot]bool{}
	}
	e.seen[at] = true
	return nil
}

func (e *encoder) pointer(s *shape, v reflect.Value) *fault {
	to := s.elem
	if to.typ.Size() > 0 { // objects without a size may share an address
		if f := e.again(s, v); f != nil {
			return f
		}
	}
	if to.form == raw && string(v.Elem().Bytes()) == "null" {
		return &fault{problem: "a pointer to null would come back as nil: use a json.RawMessage without the pointer"}
	}
	return e.value(to, v.Elem())
}

// entry is one of a map, with its key in its written form.
type entry struct {
	name       string
	key, value reflect.Value
}

// table writes the entries in the order of their names.
func (e *encoder) table(s *shape, v reflect.Value) *fault {
	if f := e.again(s, v); f != nil {
		return f
	}
	if bad := e.enter('{'); bad != nil {
		return bad
	}
	entries := make([]entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		k := it.Key()
		name, bad := keyName(s.key, k)
		if bad != nil {
			return bad.within(keyPart(k))
		}
		entries = append(entries, entry{name, k, it.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for _, one := range entries {
		bad := e.text(one.name)
		if bad == nil {
			e.data = append(e.data, ':')
			bad = e.value(s.elem, one.value)
		}
		if bad != nil {
			return bad.within(keyPart(one.key))
		}
		e.data = append(e.data, ',')
	}
	e.leave('}')
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

// keyName is how a key is written. Where a method does it the name is read back: two keys
// that are written alike would come back as one.
func keyName(form form, k reflect.Value) (string, *fault) {
	switch {
	case form == text:
		return k.String(), nil
	case form == leaf && k.CanInt():
		return strconv.FormatInt(k.Int(), 10), nil
	case form == leaf:
		return strconv.FormatUint(k.Uint(), 10), nil
	}
	name := k.String()
	if k.Kind() != reflect.String {
		b, err := k.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return "", &fault{problem: "the key cannot be written: " + err.Error()}
		}
		name = string(b)
	}
	if !utf8.ValidString(name) {
		return "", notUTF8()
	}
	back := reflect.New(k.Type())
	data, _ := json.Marshal(name)
	if err := json.Unmarshal(data, back.Interface()); err != nil {
		return "", &fault{problem: "the key cannot be read back: " + err.Error()}
	}
	if !back.Elem().Equal(k) {
		return "", &fault{problem: fmt.Sprintf("the key would come back as another one, %v: let UnmarshalText undo what is written", back.Elem())}
	}
	return name, nil
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

// dynamic writes what an any holds.
func (e *encoder) dynamic(v reflect.Value) *fault {
	t := v.Type()
	if s, ok := dynamicShapes[t]; ok {
		if k := t.Kind(); (k == reflect.Slice || k == reflect.Map) && v.IsNil() {
			return &fault{problem: fmt.Sprintf("a nil %s in an any would come back as nil of no type: leave the any nil", t)}
		}
		return e.value(s, v)
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
