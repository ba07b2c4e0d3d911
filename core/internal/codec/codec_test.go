package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// rich has every form of field that can be stored.
type rich struct {
	embedding
	B    bool
	I8   int8
	U    uint64
	F32  float32
	F64  float64
	S    string
	By   []byte
	Hex  []hex
	Arr  [3]string
	L    level
	At   time.Time `json:",omitzero"`
	Num  json.Number
	Raw  json.RawMessage `json:",omitzero"`
	Any  any
	Ptr  *part
	Str  *string
	Big  *big.Int
	IP   netip.Addr
	Own  cloner
	Owns []*cloner
	Kids []*rich
	Sub  []rich
	ByID map[int16]rich
	ByL  map[level][]string
	Tags map[string]map[color]*int
	Opt  options
	Many []struct {
		A []int
		M map[string]any
	}
}

// filler makes random values, the forms that cannot be stored among them where
// spoil is set.
type filler struct {
	*rand.Rand
	spoil bool
	depth int
	ptrs  []reflect.Value
}

func (f *filler) bad() bool { return f.spoil && f.IntN(150) == 0 }

func (f *filler) text() string {
	if f.bad() {
		return "a\xffb"
	}
	return []string{"", "null", "<&>", "\u2028", "é\x00\"", "0", strings.Repeat("x", f.IntN(40))}[f.IntN(7)]
}

func (f *filler) any() any {
	switch f.IntN(8) {
	case 0:
		return f.text()
	case 1:
		return f.NormFloat64()
	case 2:
		return true
	case 3:
		if f.depth < 4 {
			f.depth++
			defer func() { f.depth-- }()
			return []any{f.any(), f.any()}
		}
	case 4:
		if f.depth < 4 {
			f.depth++
			defer func() { f.depth-- }()
			return map[string]any{f.text(): f.any()}
		}
	case 5:
		if f.bad() {
			return 7
		}
	}
	return nil
}

func (f *filler) fill(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = time.Unix(f.Int64N(1<<33), f.Int64N(1e9)).UTC()
		return
	case *json.Number:
		*p = json.Number(fmt.Sprint(f.Int64()))
		return
	case *json.RawMessage:
		*p, _ = json.Marshal(f.any())
		return
	case *level:
		*p = level(f.IntN(2))
		return
	case *big.Int:
		p.SetInt64(f.Int64())
		return
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{byte(f.IntN(256)), 1, 2, 3})
		return
	case *lenient:
		*p = lenient{-f.IntN(3)}
		return
	case *any:
		*p = f.any()
		return
	}
	f.depth++
	defer func() { f.depth-- }()
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(f.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(f.Uint64()) >> f.IntN(64))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(f.Uint64() >> f.IntN(64))
	case reflect.Float32:
		v.SetFloat(float64(math.Float32frombits(f.Uint32() &^ (1 << 30))))
	case reflect.Float64:
		v.SetFloat(math.Float64frombits(f.Uint64() &^ (1 << 62)))
		if f.bad() {
			v.SetFloat(math.NaN())
		}
	case reflect.String:
		v.SetString(f.text())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() || v.Type().Field(i).Anonymous {
				f.field(v.Field(i))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	default:
		f.reference(v)
	}
}

// field reaches the fields of an unexported embedded struct too.
func (f *filler) field(v reflect.Value) {
	if v.CanInterface() {
		f.fill(v)
		return
	}
	for i := range v.NumField() {
		f.field(v.Field(i))
	}
}

func (f *filler) reference(v reflect.Value) {
	n := f.IntN(4) - 1 // -1: nil
	if n < 0 || f.depth > 5 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		for _, p := range f.ptrs {
			if p.Type() == v.Type() && f.bad() {
				v.Set(p)
				return
			}
		}
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
		f.ptrs = append(f.ptrs, v)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n+f.IntN(2)))
		for i := range n {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range n {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.fill(k)
			f.fill(e)
			v.SetMapIndex(k, e)
		}
	}
}

// spoilAll changes everything that is reached through v.
func spoilAll(v reflect.Value) {
	if n, ok := v.Addr().Interface().(*big.Int); ok {
		for i := range n.Bits() {
			n.Bits()[i]++
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == timeType || v.Type() == reflect.TypeFor[netip.Addr]() {
			return
		}
		for _, f := range v.Fields() {
			if f.CanSet() {
				spoilAll(f)
			}
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			spoilAll(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			spoilAll(v.Elem())
		}
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		e := reflect.New(v.Elem().Type()).Elem()
		e.Set(v.Elem())
		spoilAll(e)
	case reflect.Map:
		for _, k := range v.MapKeys() {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(v.MapIndex(k))
			spoilAll(e)
			v.SetMapIndex(k, reflect.Value{})
		}
	case reflect.String:
		v.SetString(v.String() + "!")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Float32, reflect.Float64:
		v.SetFloat(v.Float() + 1)
	default:
		if v.CanInt() {
			v.SetInt(v.Int() ^ 1)
		} else if v.CanUint() {
			v.SetUint(v.Uint() ^ 1)
		}
	}
}

func TestRandomValuesComeBackOrAreRefused(t *testing.T) {
	c, err := New[rich]()
	if err != nil {
		t.Fatal(err)
	}
	stored, refused := 0, 0
	for seed := range uint64(600) {
		f := filler{Rand: rand.New(rand.NewPCG(seed, 1)), spoil: seed%2 == 0}
		var v, back rich
		f.fill(reflect.ValueOf(&v).Elem())
		data, err := c.Encode(&v)
		var bad *ValueError
		if errors.As(err, &bad) {
			if refused++; !f.spoil && bad.Field != "Opt.F" { // of which a -0 is left out
				t.Fatalf("seed %d: %v", seed, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		stored++
		if want, err := json.Marshal(&v); err != nil || !bytes.Equal(data, want) {
			t.Fatalf("seed %d: encoding/json writes otherwise, error %v:\n%s\n%s", seed, err, data, want)
		}
		if err := c.Decode(data, &back); err != nil || !reflect.DeepEqual(v, back) {
			t.Fatalf("seed %d: came back otherwise, error %v:\n%s", seed, err, data)
		}
		if again, err := c.Encode(&back); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("seed %d: stored again otherwise, error %v:\n%s\n%s", seed, err, data, again)
		}
		got, err := c.Copy(&v)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var owned int
		if owned = got.Own.Times - v.Own.Times; owned != 1 {
			t.Fatalf("seed %d: Clone was called %d times", seed, owned)
		}
		spoilAll(reflect.ValueOf(&got).Elem())
		if after, err := c.Encode(&v); err != nil || !bytes.Equal(after, data) {
			t.Fatalf("seed %d: a change of the copy changed the original, error %v:\n%s\n%s", seed, err, data, after)
		}
	}
	if stored < 300 || refused < 50 {
		t.Errorf("%d stored and %d refused: the values are one-sided", stored, refused)
	}
}

func TestRandomCopiesAreTheSame(t *testing.T) {
	type scope struct {
		embedding
		Opt  options
		Kids []*tree
		M    map[string][]map[int][]any
		At   *time.Time
		IP   [2]netip.Addr
		Raw  json.RawMessage
		N    []*big.Int
	}
	c, err := New[scope]()
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(200) {
		f := filler{Rand: rand.New(rand.NewPCG(seed, 2))}
		var v scope
		f.fill(reflect.ValueOf(&v).Elem())
		if got, err := c.Copy(&v); err != nil || !reflect.DeepEqual(v, got) {
			t.Fatalf("seed %d: error %v\n%+v\n%+v", seed, err, v, got)
		}
	}
}

type (
	failing   int
	panicking int
	badClone  struct{ V []int }
	noClone   struct{ V []int }
	hidden    struct{ words []int }
	header    map[string][]string
	mutable   struct {
		p            *int
		fail, unread bool
	}
)

func (f failing) MarshalJSON() ([]byte, error)   { return nil, errors.New("not today") }
func (f *failing) UnmarshalJSON([]byte) error    { return errors.New("not today") }
func (p panicking) MarshalJSON() ([]byte, error) { panic("boom") }
func (p *panicking) UnmarshalJSON([]byte) error  { panic("boom") }
func (b badClone) Clone() badClone               { panic("boom") }
func (n *noClone) Clone() *noClone               { return nil }
func (h hidden) MarshalText() ([]byte, error)    { return fmt.Append(nil, len(h.words)), nil }
func (h *hidden) UnmarshalText(b []byte) error   { h.words = make([]int, len(b)); return nil }
func (m *mutable) UnmarshalText(b []byte) error {
	if string(b) == "unread" {
		return errors.New("not today")
	}
	return nil
}
func (m mutable) MarshalText() ([]byte, error) {
	switch {
	case m.fail:
		return nil, errors.New("not today")
	case m.unread:
		return []byte("unread"), nil
	}
	return fmt.Append(nil, m.p), nil
}
func (h header) Clone() header { return header{"cloned": nil} }

func TestCopySharesNothing(t *testing.T) {
	type scope struct {
		H     hidden
		Nil   header
		Head  header
		P     *cloner
		NilP  *cloner
		A, B  *part
		S, S2 []part
		L, L1 []*part
		Decl  declared
		Empty []int
		Any   any
		Loc   time.Time
	}
	c, err := New[scope]()
	if err != nil {
		t.Fatal(err)
	}
	shared := &part{1, 2}
	zone := time.FixedZone("here", 60)
	v := scope{H: hidden{[]int{1}}, Head: header{}, P: &cloner{V: []int{1}}, A: shared, B: shared, S: []part{{1, 2}}, Empty: []int{},
		Any: map[string]any{"a": &part{3, 4}}, Loc: time.Now().In(zone),
		L: []*part{shared, {}}, Decl: declared{stampOnly: stampOnly{time.Now()}}}
	v.L1 = v.L[:1]
	got, err := c.Copy(&v)
	if err != nil {
		t.Fatal(err)
	}
	switch inAny := got.Any.(map[string]any)["a"].(*part); {
	case &got.H.words[0] == &v.H.words[0], got.A == shared, &got.S[0] == &v.S[0], inAny == v.Any.(map[string]any)["a"], &got.P.V[0] == &v.P.V[0]:
		t.Error("something is shared")
	case got.A != got.B || *inAny != part{3, 4}:
		t.Error("what is shared within is shared no more")
	case len(got.L) != 2 || len(got.L1) != 1 || got.L1[0] != got.A:
		t.Error("slices that share memory are mixed up")
	case got.Decl != v.Decl:
		t.Error("an opaque value without pointers was not copied as it is")
	case got.Nil != nil || got.NilP != nil || got.S2 != nil || got.Empty == nil:
		t.Error("nil and empty are mixed up")
	case got.P.Times != 1 || len(got.Head) != 1:
		t.Error("Clone was not called")
	case got.Loc != v.Loc:
		t.Error("the time lost its location or its monotonic reading")
	}
}

func TestCopyEndsInCycles(t *testing.T) {
	ring := &linked{}
	ring.Next = &linked{ring}
	c, _ := New[*linked]()
	if got, err := c.Copy(&ring); err != nil || got == ring || got.Next.Next != got {
		t.Errorf("%v, error %v", got, err)
	}
	l := loops{nil}
	l[0] = l
	lc, _ := New[loops]()
	if got, err := lc.Copy(&l); err != nil || &got[0] == &l[0] || &got[0][0] != &got[0] {
		t.Errorf("error %v", err)
	}
	m := map[string]any{}
	m["m"] = m
	mc, _ := New[map[string]any]()
	got, err := mc.Copy(&m)
	if err != nil {
		t.Fatal(err)
	}
	if got["m"].(map[string]any)["x"] = 1; len(got) != 2 || len(m) != 1 {
		t.Errorf("%d entries in the copy, %d in the original", len(got), len(m))
	}
	var far *linked
	for range maxDepth {
		far = &linked{far}
	}
	if _, err := c.Copy(&far); err == nil {
		t.Error("a list that cannot be stored either was copied")
	}
}

func copyError[T any](v T) error {
	c, err := New[T]()
	if err == nil {
		_, err = c.Copy(&v)
	}
	return err
}

func TestFailingMethodsAreErrors(t *testing.T) {
	var panicked *PanicError
	if err := copyError(badClone{[]int{1}}); !errors.As(err, &panicked) || panicked.Value != "boom" {
		t.Errorf("Clone panics: %v", err)
	}
	const want = "copy a codec.noClone: its Clone returned nil"
	for _, err := range []error{copyError(noClone{}), copyError(&noClone{}), copyError([]any{&noClone{}})} {
		if err == nil || err.Error() != want {
			t.Errorf("Clone returns nil: %v", err)
		}
	}
	var refused *TypeError
	if err := copyError([]any{make(chan int)}); !errors.As(err, &refused) {
		t.Errorf("a chan in an any: %v", err)
	}
	for _, err := range []error{copyError(mutable{fail: true}), copyError([]mutable{{unread: true}}), copyError(map[string][1]mutable{"a": {{fail: true}}})} {
		if err == nil || !strings.HasPrefix(err.Error(), "copy a codec.mutable: ") {
			t.Errorf("a copy by storage fails: %v", err)
		}
	}
	isRefused(t, boxOf[[]failing]{[]failing{1}}, "Value[0]", "json: error calling MarshalJSON for type *codec.failing: not today")
	c, _ := New[[]panicking]()
	if _, err := c.Encode(&[]panicking{1}); !errors.As(err, &panicked) || len(panicked.Stack) == 0 {
		t.Errorf("MarshalJSON panics: %v", err)
	}
	v := []panicking{3}
	if err := c.Decode([]byte("[1]"), &v); !errors.As(err, &panicked) || v[0] != 3 {
		t.Errorf("UnmarshalJSON panics: %v", err)
	}
}

func TestDecodeIsStrictAndAllOrNothing(t *testing.T) {
	c, _ := New[boxOf[part]]()
	for _, data := range []string{``, `{`, `{"Value":{"X":1},"Other":2}`, `{"Value":{"X":1,"Z":2}}`, `{"Value":{"X":1}} {}`, `{"Value":{"X":1}}x`, `{"Value":{"X":1,"Y":"2"}}`, `{"Value":{"X":1,"Y":1.5}}`} {
		v := boxOf[part]{part{7, 8}}
		if err := c.Decode([]byte(data), &v); err == nil || v.Value != (part{7, 8}) {
			t.Errorf("%s: %+v, error %v", data, v, err)
		}
	}
	v := boxOf[part]{part{7, 8}}
	if err := c.Decode([]byte(" {\"Value\":{\"X\":1}}\n"), &v); err != nil || v.Value != (part{1, 0}) {
		t.Errorf("%+v, error %v: want a zero value under what is read", v, err)
	}
}

// flat is a state without pointers: 20 strings.
type flat struct {
	A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T string
}

func flatOf(size int) (v flat) {
	for _, f := range reflect.ValueOf(&v).Elem().Fields() {
		f.SetString(strings.Repeat("x", size/20))
	}
	return v
}

// nested is a state with slices, maps and pointers.
type nested struct {
	Title string
	Items []*item
	Index map[string]int
}

type item struct {
	ID    int
	Name  string
	Tags  []string
	Score float64
}

func nestedOf(size int) nested {
	v := nested{Title: "t", Index: map[string]int{}}
	for i := range max(size/100, 1) {
		name := fmt.Sprintf("item-%06d", i)
		v.Items = append(v.Items, &item{i, name, []string{"a tag of some length", "b"}, 0.5})
		v.Index[name] = i
	}
	return v
}

func TestPlainValuesCostNoAllocationOfTheirOwn(t *testing.T) {
	c, _ := New[flat]()
	v := flatOf(10_000)
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Copy(&v) }); n != 0 {
		t.Errorf("copy: %v allocations", n)
	}
	if raced() {
		return // a sync.Pool then drops some of what it is given
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Encode(&v) }); n > 1 {
		t.Errorf("encode: %v allocations, want the one of the result", n)
	}
}

func benchmark[T any](b *testing.B, of func(int) T, run func(*testing.B, *Codec[T], *T)) {
	for _, size := range []int{100, 1000, 10_000} {
		c, err := New[T]()
		if err != nil {
			b.Fatal(err)
		}
		v := of(size)
		b.Run(fmt.Sprintf("%T/%gKB", v, float64(size)/1000), func(b *testing.B) {
			b.ReportAllocs()
			run(b, c, &v)
		})
	}
}

func benchCopy[T any](b *testing.B, c *Codec[T], v *T) {
	for b.Loop() {
		_, _ = c.Copy(v)
	}
}

func benchEncode[T any](b *testing.B, c *Codec[T], v *T) {
	for b.Loop() {
		_, _ = c.Encode(v)
	}
}

func benchMarshal[T any](b *testing.B, _ *Codec[T], v *T) {
	for b.Loop() {
		_, _ = json.Marshal(v)
	}
}

func BenchmarkCopy(b *testing.B) {
	benchmark(b, flatOf, benchCopy[flat])
	benchmark(b, nestedOf, benchCopy[nested])
}

func BenchmarkEncode(b *testing.B) {
	benchmark(b, flatOf, benchEncode[flat])
	benchmark(b, nestedOf, benchEncode[nested])
}

// BenchmarkMarshal is encoding/json alone, to compare with.
func BenchmarkMarshal(b *testing.B) {
	benchmark(b, flatOf, benchMarshal[flat])
	benchmark(b, nestedOf, benchMarshal[nested])
}

// Whatever is stored, it is refused or becomes a value that is stored as it was read.
func FuzzDecodeStored(f *testing.F) {
	c, err := New[rich]()
	if err != nil {
		f.Fatal(err)
	}
	fill := filler{Rand: rand.New(rand.NewPCG(1, 2))}
	for range 8 {
		var v rich
		fill.fill(reflect.ValueOf(&v).Elem())
		if text, err := c.Encode(&v); err == nil {
			f.Add(text)
		}
	}
	for _, text := range []string{`{}`, `null`, `[]`, `{"Any":1e999}`, `{"I8":300}`, `{"b":true,"B":false}`, strings.Repeat(`{"Ptr":`, 50), `{"Raw":{}} {}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v, again rich
		if c.Decode(data, &v) != nil {
			return
		}
		once, err := c.Encode(&v)
		if err != nil {
			return // it may hold what cannot be stored
		}
		if err := c.Decode(once, &again); err != nil {
			t.Fatalf("%s is stored and cannot be read: %v", once, err)
		}
		twice, err := c.Encode(&again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s\nbecomes\n%s, %v", once, twice, err)
		}
		if _, err := c.Copy(&v); err != nil {
			t.Errorf("a copy of what can be stored: %v", err)
		}
	})
}
