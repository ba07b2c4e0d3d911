package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// roundTrip stores a value and reads it back.
func roundTrip[T any](t *testing.T, v T) (back T, err error) {
	t.Helper()
	c, err := New[T]()
	if err != nil {
		t.Fatal(err)
	}
	data, err := c.Encode(&v)
	if err != nil {
		return back, err
	}
	if err := c.Decode(data, &back); err != nil {
		t.Fatalf("%T: %s cannot be read back: %v", v, data, err)
	}
	return back, nil
}

// comesBack expects a value to come back bit by bit.
func comesBack[T any](t *testing.T, v T) {
	t.Helper()
	back, err := roundTrip(t, v)
	if err != nil {
		t.Errorf("%T %+v: %v", v, v, err)
	} else if s, _ := shapeOf(reflect.TypeFor[T]()); !reflect.DeepEqual(v, back) || !same(s, reflect.ValueOf(&v).Elem(), reflect.ValueOf(&back).Elem()) {
		t.Errorf("%T: stored %#v, came back %#v", v, v, back)
	}
	c, _ := New[T]()
	got, err := c.Encode(&v)
	if want, bad := json.Marshal(&v); err != nil || bad != nil || string(got) != string(want) {
		t.Errorf("%T is stored as\n%s, and by encoding/json as\n%s", v, got, want)
	}
}

// isRefused expects a value to be refused with the field and the problem.
func isRefused[T any](t *testing.T, v T, field, problem string) {
	t.Helper()
	back, err := roundTrip(t, v)
	var bad *ValueError
	if !errors.As(err, &bad) {
		t.Errorf("%T: came back as %+v, error %v, want a ValueError at %q", v, back, err, field)
	} else if bad.Field != field || bad.Problem != problem {
		t.Errorf("%T:\ngot  %q %s\nwant %q %s", v, bad.Field, bad.Problem, field, problem)
	}
}

type (
	hex  byte
	enum struct {
		L    level
		P    *level
		M    map[level]level
		Text map[color]int
	}
	embedding struct {
		inner
		In2  Inner2 `json:"in"`
		Last string
	}
	options struct {
		I  int                 `json:",string"`
		S  string              `json:",string"`
		P  *int                `json:"p,string"`
		F  float64             `json:",string,omitempty"`
		N  json.Number         `json:",string,omitempty"`
		E  string              `json:"<e>,omitempty"`
		L  []int               `json:",omitzero"`
		M  map[string]int      `json:",omitzero"`
		T  time.Time           `json:",omitzero"`
		TP *time.Time          `json:",omitzero"`
		R  json.RawMessage     `json:",omitzero"`
		Z  struct{ F float32 } `json:",omitzero"`
		U  lenient             `json:",omitzero"`
		A  [0]int              `json:",omitempty"`
		//lint:ignore SA5008 the name is "-"
		D any `json:"-,omitempty"`
	}
	lenient  struct{ V int }
	onlyOmit struct {
		U lenient `json:",omitzero"`
	}
	family struct {
		Kids []family
		By   map[int]family
		Rest [1]struct{ All []family }
		Name string
	}
	flatKids struct{ Kids []deepFlat }
	deepFlat struct{ flatKids }
	byPtr    struct{ V int }
	tagged   struct {
		A [2]float64 `json:",omitzero"`
		P byPtr      `json:",omitzero"`
		I any        `json:",omitempty"`
		R *part      `json:",omitempty"`
		C bool       `json:",omitempty"`
	}
	upper    string
	folding  int
	mute     int
	lowers   string
	onlyBool bool
	linked   struct{ Next *linked }
	loops    []loops
	graph    struct {
		A, B  *inner
		M     map[string]*inner
		M1    map[string]int
		M2    map[string]int
		Items []inner
		Cur   *inner
		Int   *int
		In    inner
		Nil   *struct{}
		Nil2  *struct{}
	}
)

// IsZero is true of more than the zero value.
func (l lenient) IsZero() bool { return l.V >= 0 }

// IsZero is true of 1 alone.
func (b *byPtr) IsZero() bool { return b.V == 1 }

func (u *upper) UnmarshalText(b []byte) error { *u = upper(strings.ToUpper(string(b))); return nil }
func (u upper) MarshalText() ([]byte, error)  { return []byte(strings.ToUpper(string(u))), nil }

// folding writes every negative key alike.
func (f folding) MarshalText() ([]byte, error) { return fmt.Append(nil, max(f, 0)), nil }
func (f *folding) UnmarshalText(b []byte) error {
	_, err := fmt.Sscan(string(b), f)
	return err
}

// lowers is written as it is, like every string, and read in lower case.
func (l *lowers) UnmarshalText(b []byte) error { *l = lowers(strings.ToLower(string(b))); return nil }

// mute writes what it does not read.
func (m mute) MarshalText() ([]byte, error)  { return []byte("x"), nil }
func (m *mute) UnmarshalText(b []byte) error { return errors.New("not a number") }

func ptr[T any](v T) *T { return &v }

func TestValuesComeBackExactly(t *testing.T) {
	comesBack(t, 0)
	comesBack(t, "")
	comesBack[*inner](t, nil)
	comesBack(t, &inner{7})
	comesBack(t, int64(math.MaxInt64))
	comesBack(t, int64(math.MinInt64))
	comesBack(t, uint64(math.MaxUint64))
	comesBack(t, map[uint64]int64{math.MaxUint64: math.MinInt64})
	comesBack(t, map[int8]string{-128: "a", 127: "b"})
	comesBack(t, []float64{0, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1, 1e21, 1e-7, math.Pi})
	comesBack(t, []float32{0.1, math.MaxFloat32, math.SmallestNonzeroFloat32, 16777216, float32(math.Copysign(0, -1)), 1e21, 1e-6})
	comesBack(t, []byte{0, 255, 128})
	comesBack(t, [][]byte{nil, {}, {1}})
	comesBack(t, [][]hex{nil, {}, {1, 255}})
	comesBack(t, [3]byte{1, 2, 3})
	comesBack(t, [][]int{nil, {}, {0}})
	comesBack(t, []map[string]int{nil, {}, {"": 0}})
	comesBack(t, "\x00\u2028<>&\"\\/\u00e9\U0001f600"+string(unicode.ReplacementChar))
	comesBack(t, map[string]string{"<\u2028>": "a", "": "b", "\x00": "c"})
	comesBack(t, enum{L: 1, P: ptr(level(0)), M: map[level]level{0: 1, 1: 0}, Text: map[color]int{"x": 1}})
	comesBack(t, embedding{inner{1}, Inner2{2}, "x"})
	comesBack(t, boxOf[boxOf[[]string]]{boxOf[[]string]{[]string{"a"}}})
	comesBack(t, padded{A: 1})
	comesBack(t, options{})
	comesBack(t, options{I: -3, S: `"nu"ll<`, P: ptr(0), F: 1.5, N: "1e400", E: "x", L: []int{}, M: map[string]int{}, TP: ptr(time.Unix(1, 0).UTC()), R: json.RawMessage(`{"a":[1]}`), U: lenient{-1}, D: "d"})
	comesBack(t, options{S: "null"})
	comesBack(t, tagged{})
	comesBack(t, tagged{A: [2]float64{0, 1}, P: byPtr{2}, I: "", R: &part{}, C: true})
	comesBack(t, tree{"a", []*tree{{"b", nil}, {"c", []*tree{}}, nil}})
	comesBack(t, treeMap{"a": {"b": nil, "c": {}}})
	comesBack(t, trees{Plain: []trees{{ByName: map[string]*trees{"x": {}}}}})
	comesBack(t, struct{ A, AB, Ab int }{1, 2, 3})
	comesBack(t, struct{ Id, ID string }{"a", "b"})
	comesBack(t, []any{nil, true, "s", 1.5, math.Copysign(0, -1), []any{}, map[string]any{"a": []any{nil}}})
	comesBack[any](t, nil)
	comesBack[any](t, map[string]any{"x": 1.0})
	comesBack(t, map[netip.Addr]*big.Int{netip.MustParseAddr("::1"): big.NewInt(-5)})
	comesBack(t, []json.RawMessage{json.RawMessage(`null`), json.RawMessage(`"\u003c"`)})
	comesBack(t, map[upper]upper{"A": "B"})
	comesBack(t, uintptr(math.MaxUint64))
	comesBack(t, graph{Nil: &struct{}{}, Nil2: &struct{}{}})
	comesBack(t, struct{ A, B []int }{[]int{1, 2}, nil})
}

func TestSlicesMayShareMemory(t *testing.T) {
	all := []inner{{1}, {2}}
	comesBack(t, struct {
		All, Head []inner
		P         *int
	}{all, all[:1], ptr(3)})
}

// No step sees that a pointer leads into what is stored elsewhere: each works on a copy of
// the scope, in which there are two objects, as there are behind a resume.
func TestPointersIntoOthersAreCopiedAsTheyAreStored(t *testing.T) {
	v := graph{Items: []inner{{1}, {2}}, A: &inner{3}}
	v.Cur, v.Int = &v.Items[1], &v.A.A
	comesBack(t, v)
	c, err := New[graph]()
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Copy(&v)
	if got.Cur.A, *got.Int = 7, 8; err != nil || got.Items[1].A != 2 || got.A.A != 3 {
		t.Errorf("a copy shares memory within: %+v, error %v", got, err)
	}
}

// encoding/json is the reference of what is written.
func FuzzTextIsWrittenAsByEncodingJSON(f *testing.F) {
	for _, s := range []string{"", "12345678", "1234567\"", "\x00\b\f\n\r\t\x1f\x7f", "<&>\\/'\u2028\u2029\u2027", "é日本語\U0001f600abc", "a\xffb", "\xed\xa0\x80", "\"\"\"\"\"\"\"\"\"!&'#$", "\x1f\x20\x1f\x20\x1f\x20\x1f\x20"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for shift := range 41 { // at every place within the words that are tested at once
			s := strings.Repeat("x", shift) + s
			var e encoder
			bad := e.text(s)
			if valid := utf8.ValidString(s); valid != (bad == nil) {
				t.Fatalf("%q: fault %v", s, bad)
			} else if !valid {
				return
			}
			if want, err := json.Marshal(s); err != nil || string(e.data) != string(want) {
				t.Fatalf("got %s, want %s, error %v", e.data, want, err)
			}
		}
	})
}

// An encoder keeps strings that it found to be written unchanged. Others of the same
// length are not taken for them.
func TestKeptStringsAreWrittenAsByEncodingJSON(t *testing.T) {
	plain := strings.Repeat("x", leastPlain)
	var e encoder
	for i, s := range []string{plain, plain, plain[1:] + "\"", plain, "<" + plain[1:], strings.Repeat("y", leastPlain), plain[:leastPlain-2] + "é", plain, ""} {
		e.data = e.data[:0]
		bad := e.text(s)
		if want, err := json.Marshal(s); err != nil || bad != nil || string(e.data) != string(want) {
			t.Errorf("string %d: got %s, want %s, %v, %v", i, e.data, want, bad, err)
		}
	}
	if kept := e.plain[leastPlain%len(e.plain)]; kept != plain {
		t.Errorf("kept %q", kept)
	}
}

func TestNumbersAreWrittenAsByEncodingJSON(t *testing.T) {
	numbers := []float64{0, math.Copysign(0, -1), 1, -1.5, 1e-6, 9.99e-7, 1e-7, 1.2e-10, 1e-100, 1e20, 1e21, 1e22, 1.5e300, math.MaxFloat64, math.SmallestNonzeroFloat64,
		float64(float32(1e-6)), float64(float32(1e21)), math.MaxFloat32, math.SmallestNonzeroFloat32}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		if f := math.Float64frombits(rng.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			numbers = append(numbers, f)
		}
	}
	for _, f := range numbers {
		for _, v := range []any{f, float32(f)} {
			rv := reflect.ValueOf(v)
			if math.IsInf(rv.Float(), 0) {
				continue
			}
			var e encoder
			if bad := e.floating(rv); bad != nil {
				t.Fatal(v, bad)
			}
			if want, _ := json.Marshal(v); string(e.data) != string(want) {
				t.Errorf("%T %v: %s, want %s", v, v, e.data, want)
			}
		}
	}
}

func TestTimesKeepInstantAndOffset(t *testing.T) {
	for _, want := range []time.Time{
		{}, time.Unix(0, 1), time.Now(), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2024, 2, 29, 1, 2, 3, 4, time.FixedZone("half", 5*3600+1800)), time.Date(2024, 1, 1, 0, 0, 0, 0, time.FixedZone("west", -23*3600-59*60)),
	} {
		got, err := roundTrip(t, stampOnly{want})
		_, offset := got.Zone()
		if _, o := want.Zone(); err != nil || !got.Equal(want) || offset != o {
			t.Errorf("stored %v, came back %v, error %v", want, got, err)
		}
	}
}

func TestValuesThatWouldNotComeBackAreRefused(t *testing.T) {
	const aliased = "it is also stored at %s and would come back as two: keep one and an identifier of it"
	const utf = "it is not valid UTF-8 and would come back with replacement characters: use []byte for other data"
	const left = "its tag leaves it out although it is not the zero value: remove omitempty or omitzero"
	const deep = "it is nested deeper than 10000 levels, which cannot be read back: keep it flat, with identifiers"
	isRefused(t, math.NaN(), "", "JSON has no NaN: use a pointer or a flag for no value")
	isRefused(t, boxOf[map[string][]boxOf[float32]]{map[string][]boxOf[float32]{"a": {{0}, {float32(math.Inf(-1))}}}}, `Value["a"][1].Value`, "JSON has no -Inf: use a pointer or a flag for no value")
	isRefused(t, "a\xff", "", utf)
	isRefused(t, embedding{Last: "\xc0\x80"}, "Last", utf)
	isRefused(t, map[color]int{"\xff": 1}, `["\xff"]`, utf)
	isRefused(t, []any{"\xff"}, "[0]", utf)
	isRefused(t, map[int]any{7: map[string]any{"k": 3}}, `[7]["k"]`, "an int in an any would come back as float64: give the field a concrete type")
	isRefused(t, []any{[]string{}}, "[0]", "a []string in an any would come back as []any: give the field a concrete type")
	isRefused(t, []any{inner{}}, "[0]", "a codec.inner in an any would come back as map[string]any: give the field a concrete type")
	isRefused(t, []any{color("")}, "[0]", "a codec.color in an any would come back as string: give the field a concrete type")
	isRefused(t, []any{time.Time{}}, "[0]", "a time.Time in an any would come back as something else: give the field a concrete type")
	isRefused(t, []any{func() {}}, "[0]", "a func() in an any would come back as something else: give the field a concrete type")
	isRefused(t, []any{[]any(nil)}, "[0]", "a nil []interface {} in an any would come back as nil of no type: leave the any nil")
	isRefused(t, json.Number(""), "", `"" is not a JSON number: set it to one`)
	isRefused(t, []json.Number{"1 "}, "[0]", `"1 " is not a JSON number: set it to one`)
	isRefused(t, json.Number("0x1"), "", `"0x1" is not a JSON number: set it to one`)
	isRefused(t, json.RawMessage(nil), "", "an empty json.RawMessage would come back as null: set it, or tag the field omitzero and leave it nil")
	isRefused(t, json.RawMessage("{"), "", "it is not valid JSON: json: error calling MarshalJSON for type json.RawMessage: unexpected end of JSON input")
	isRefused(t, json.RawMessage(`{ "a": 1}`), "", "it would come back written otherwise: pass it through json.Marshal first")
	isRefused(t, json.RawMessage(`"<"`), "", "it would come back written otherwise: pass it through json.Marshal first")
	isRefused(t, boxOf[*json.RawMessage]{ptr(json.RawMessage("null"))}, "Value", "a pointer to null would come back as nil: use a json.RawMessage without the pointer")
	isRefused(t, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "", "the year 10000 is not within 0 to 9999, which JSON times can say")
	isRefused(t, stampOnly{time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}, "Time", "the year -1 is not within 0 to 9999, which JSON times can say")
	isRefused(t, map[string]time.Time{"a": time.Unix(0, 0).In(time.FixedZone("LMT", 1172))}, `["a"]`, "its zone is 19m32s from UTC; JSON times can say whole minutes, less than a day: use In or UTC")
	isRefused(t, time.Unix(0, 0).In(time.FixedZone("far", 86400)), "", "its zone is 24h0m0s from UTC; JSON times can say whole minutes, less than a day: use In or UTC")
	isRefused(t, options{F: math.Copysign(0, -1)}, "F", left)
	isRefused(t, options{Z: struct{ F float32 }{float32(math.Copysign(0, -1))}}, "Z", left)
	isRefused(t, tagged{A: [2]float64{0, math.Copysign(0, -1)}}, "A", left)
	isRefused(t, tagged{P: byPtr{1}}, "P", left)
	isRefused(t, []any{json.Number("1")}, "[0]", "a json.Number in an any would come back as string: give the field a concrete type")
	isRefused(t, []any{[2]int{}}, "[0]", "a [2]int in an any would come back as []any: give the field a concrete type")
	isRefused(t, []any{onlyBool(true)}, "[0]", "a codec.onlyBool in an any would come back as bool: give the field a concrete type")
	isRefused(t, []any{&part{}}, "[0]", "a *codec.part in an any would come back as something else: give the field a concrete type")
	isRefused(t, map[mute]int{1: 2}, `["x"]`, "the key cannot be read back: not a number")
	isRefused(t, onlyOmit{lenient{1}}, "U", left)
	isRefused(t, json.RawMessage("\"\xff\""), "", "it would come back written otherwise: pass it through json.Marshal first")
	isRefused(t, time.Unix(0, 0).In(time.FixedZone("far", -86400)), "", "its zone is -24h0m0s from UTC; JSON times can say whole minutes, less than a day: use In or UTC")
	isRefused(t, options{U: lenient{1}}, "U", left)
	isRefused(t, options{TP: &time.Time{}}, "TP", left)
	isRefused(t, options{T: time.Time{}.In(time.FixedZone("x", 3600))}, "T", left)
	isRefused(t, options{S: "\xff"}, "S", utf)
	isRefused(t, map[upper]int{"a": 1}, `["a"]`, "the key would come back as another one, A: let UnmarshalText undo what is written")
	isRefused(t, map[lowers]int{"A": 1}, `["A"]`, "the key would come back as another one, a: let UnmarshalText undo what is written")
	isRefused(t, map[upper]int{"\xff": 1}, `["\xff"]`, utf)
	isRefused(t, map[folding]int{-1: 1}, `["0"]`, "the key would come back as another one, 0: let UnmarshalText undo what is written")
	isRefused(t, map[level]int{9: 1}, `[""]`, "the key cannot be written: no such level")
	isRefused(t, enum{L: 9}, "L", "json: error calling MarshalText for type *codec.level: no such level")

	// The plan of a type that contains itself is used before it is finished.
	isRefused(t, family{Kids: []family{{}, {Name: "\xff"}}}, "Kids[1].Name", utf)
	isRefused(t, family{By: map[int]family{3: {Kids: []family{{Name: "\xff"}}}}}, "By[3].Kids[0].Name", utf)
	isRefused(t, family{Rest: [1]struct{ All []family }{{[]family{{Name: "\xff"}}}}}, "Rest[0].All[0].Name", utf)

	one, m := &inner{1}, map[string]int{"a": 1}
	isRefused(t, graph{A: one, B: one}, "B", fmt.Sprintf(aliased, "A"))
	isRefused(t, graph{B: one, M: map[string]*inner{"x": one}}, `M["x"]`, fmt.Sprintf(aliased, "B"))
	for range 20 { // in whatever order the map is walked
		isRefused(t, graph{M: map[string]*inner{"x": one, "y": one, "z": {}}}, `M["y"]`, fmt.Sprintf(aliased, `M["x"]`))
	}
	isRefused(t, graph{M1: m, M2: m}, "M2", fmt.Sprintf(aliased, "M1"))
	ring := &linked{}
	ring.Next = &linked{&linked{ring}}
	isRefused(t, ring, "Next.Next.Next", "it leads back to the value, of which it is a part: keep an identifier instead")
	for range 20 { // whichever ring is met first
		other := &linked{}
		other.Next = other
		if _, err := roundTrip(t, map[string]*linked{"a": ring, "b": other}); err == nil {
			t.Error("two rings came back")
		}
	}
	loop := treeMap{"a": {}}
	loop["a"]["b"] = loop
	isRefused(t, loop, `["a"]["b"]`, "it leads back to the value, of which it is a part: keep an identifier instead")
	l := loops{nil}
	l[0] = l
	far := strings.Repeat("[0]", 10_000)
	far = far[:200] + "..." + far[len(far)-200:]
	isRefused(t, l, far, deep)
	a := []any{nil}
	a[0] = a
	isRefused(t, a, far, deep)
}

func TestDepthIsWhatEncodingJSONReads(t *testing.T) {
	nest := func(n int) (l loops) {
		for range n {
			l = loops{l}
		}
		return l
	}
	if _, err := roundTrip(t, nest(9_999)); err != nil {
		t.Error(err)
	}
	if _, err := roundTrip(t, nest(10_000)); err != nil {
		t.Error(err)
	}
	if back, err := roundTrip(t, nest(10_001)); err == nil {
		t.Errorf("came back with %d elements", len(back))
	}
	far := strings.Repeat("[0]", 10_000)
	isRefused(t, nest(10_001), far[:200]+"..."+far[len(far)-200:], "it is nested deeper than 10000 levels, which cannot be read back: keep it flat, with identifiers")
	var flat deepFlat // two levels each: an embedded struct is none of its own
	for range 4_999 {
		flat = deepFlat{flatKids{[]deepFlat{flat}}}
	}
	if _, err := roundTrip(t, flat); err != nil {
		t.Error(err)
	}
	if _, err := roundTrip(t, deepFlat{flatKids{[]deepFlat{{flatKids{[]deepFlat{flat}}}}}}); err == nil {
		t.Error("a value too deep came back")
	}
	raw := json.RawMessage(strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999))
	comesBack(t, []json.RawMessage{raw})
	isRefused(t, [][]json.RawMessage{{raw}}, "", "it is nested deeper than 10000 levels, which cannot be read back")
}

func TestLargeStates(t *testing.T) {
	sizes := []int{1 << 20}
	if !testing.Short() && !raced() { // the race detector makes it 15 times as slow
		sizes = append(sizes, 64<<20)
	}
	for _, size := range sizes {
		state := boxOf[[]string]{make([]string, size>>10)}
		for i := range state.Value {
			state.Value[i] = strings.Repeat(string(rune('a'+i%26)), 1<<10)
		}
		if back, err := roundTrip(t, state); err != nil || !reflect.DeepEqual(back, state) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// raced reports whether the race detector is on.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Values in one buffer are encoded independently of each other, as Encode would.
func TestBufferCollectsValues(t *testing.T) {
	type link struct{ To *int }
	n := 1
	links, err := New[link]()
	if err != nil {
		t.Fatal(err)
	}
	raws, err := New[json.RawMessage]()
	if err != nil {
		t.Fatal(err)
	}
	first, raw, second := link{&n}, json.RawMessage(`["x"]`), link{&n} // the same pointer, but in another value
	b := NewBuffer()
	if err := errors.Join(links.Append(b, &first), raws.Append(b, &raw), links.Append(b, &second)); err != nil {
		t.Fatal(err)
	}
	size := b.Len()
	got := b.Release()
	if want := `{"To":1}["x"]{"To":1}`; string(got) != want || size != len(want) {
		t.Errorf("got %s of %d bytes, want %s", got, size, want)
	}
	n = 2
	for range 10 { // one of them reuses the memory of the buffer
		if data, err := links.Encode(&first); err != nil || string(data) != `{"To":2}` {
			t.Errorf("got %s, %v", data, err)
		}
	}
	if want := `{"To":1}["x"]{"To":1}`; string(got) != want {
		t.Errorf("what was released changed to %s", got)
	}
}

// Only the value that is nested too deep is refused, not what is in the buffer before it.
func TestBufferLimitsTheDepthOfEachValue(t *testing.T) {
	raws, err := New[json.RawMessage]()
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuffer()
	raw := json.RawMessage(strings.Repeat("[", 6_000) + strings.Repeat("]", 6_000))
	if err := errors.Join(raws.Append(b, &raw), raws.Append(b, &raw)); err != nil {
		t.Error(err)
	}
}
