package codec

import (
	"encoding/json"
	"errors"
	"math/big"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"
	"unsafe"
)

type (
	onlyWrites int
	onlyReads  int
	onlyText   int
	readsText  int
	byAddress  struct{ n int }
	stamped    struct {
		time.Time
		Note string
	}
	stampOnly struct{ time.Time }
	twoStamps struct {
		time.Time
		netip.Addr
		json.RawMessage `json:"r"`
	}
	stampedOf[T any] struct {
		time.Time
		Note T
	}
	halfStamped struct {
		stampOnly
		Note string
	}
	declared struct {
		stampOnly
		Note string
	}
	declaredOf[T any] struct {
		stampOnly
		Note T
	}
	inner  struct{ A int }
	Inner2 struct{ A int }
	shadow struct {
		inner
		A int
	}
	diamond struct {
		inner
		Inner2
	}
	tree struct {
		Name string
		Kids []*tree
	}
	treeMap map[string]treeMap
	trees   struct {
		ByName map[string]*trees
		Plain  []trees
	}
	selfPtr *selfPtr
	badTree struct {
		Kids []*badTree
		M    map[string]badTree
		At   byAddress
	}
	color  string
	level  int
	cloner struct {
		V     []int
		Times int
	}
	keyReads     int
	keyWrites    int
	structKey    struct{ A, B int }
	boxOf[T any] struct{ Value T }
	padded       struct {
		_ struct{}
		A int
	}
)

func (onlyWrites) MarshalJSON() ([]byte, error)    { return []byte("0"), nil }
func (*onlyReads) UnmarshalJSON([]byte) error      { return nil }
func (onlyText) MarshalText() ([]byte, error)      { return []byte("0"), nil }
func (*readsText) UnmarshalText([]byte) error      { return nil }
func (b *byAddress) MarshalJSON() ([]byte, error)  { return json.Marshal(b.n) }
func (b *byAddress) UnmarshalJSON(d []byte) error  { return json.Unmarshal(d, &b.n) }
func (h halfStamped) MarshalJSON() ([]byte, error) { return json.Marshal(h.Note) }
func (d declared) MarshalJSON() ([]byte, error)    { return json.Marshal(d.Note) }
func (d *declared) UnmarshalJSON(b []byte) error   { return json.Unmarshal(b, &d.Note) }
func (d declaredOf[T]) MarshalJSON() ([]byte, error) {
	return json.Marshal(d.Note)
}
func (d *declaredOf[T]) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &d.Note) }
func (keyWrites) MarshalText() ([]byte, error)        { return []byte("x"), nil }
func (*keyReads) UnmarshalText([]byte) error          { return nil }

func (l level) MarshalText() ([]byte, error) {
	switch l {
	case 0:
		return []byte("low"), nil
	case 1:
		return []byte("high"), nil
	}
	return nil, errors.New("no such level")
}

func (l *level) UnmarshalText(b []byte) error {
	switch string(b) {
	case "low":
		*l = 0
	case "high":
		*l = 1
	default:
		return errors.New("no such level")
	}
	return nil
}

func (c *cloner) Clone() *cloner {
	return &cloner{V: append([]int(nil), c.V...), Times: c.Times + 1}
}

// typeError returns the problem with the type of the value pointed to.
func typeError[T any]() error {
	_, err := New[T]()
	return err
}

func TestTypesThatCannotBeStoredAreRefused(t *testing.T) {
	const interfaces = "what an interface holds cannot be read back: give the type that holds it MarshalJSON and UnmarshalJSON, or use a concrete type"
	const keys = "a key must be a string, an integer or a type with MarshalText and UnmarshalText"
	const lost = "an unexported field is not stored and would be lost: export it, or keep it out of the scope"
	const embeddedTrap = "it is stored by the MarshalJSON or UnmarshalJSON of an embedded field, which knows nothing of the other fields: name that field"
	for _, tc := range []struct {
		err                 error
		typ, field, problem string
	}{
		{typeError[chan int](), "chan int", "", "a chan has no stored form: keep it out of the scope"},
		{typeError[func()](), "func()", "", "a func has no stored form: keep it out of the scope"},
		{typeError[unsafe.Pointer](), "unsafe.Pointer", "Pointer", "a unsafe.Pointer has no stored form: keep it out of the scope"},
		{typeError[struct{ A []complex64 }](), "complex64", ".A[]", "a complex64 has no stored form: keep it out of the scope"},
		{typeError[boxOf[map[string][]chan int]](), "chan int", "boxOf[map[string][]chan int].Value[][]", "a chan has no stored form: keep it out of the scope"},
		{typeError[boxOf[error]](), "error", "boxOf[error].Value", interfaces},
		{typeError[error](), "error", "error", interfaces},
		{typeError[struct{ a int }](), "int", ".a", lost},
		{typeError[boxOf[sync.Mutex]](), "sync.noCopy", "boxOf[sync.Mutex].Value.mu", lost},
		{typeError[struct{ onlyInt }](), "codec.onlyInt", ".onlyInt", lost},
		{typeError[struct {
			A int `json:"-"`
		}](), "int", ".A", `a field with json:"-" is not stored and would be lost: remove the tag, or keep the field out of the scope`},
		{typeError[struct {
			A []int `json:",omitempty"`
		}](), "[]int", ".A", "with omitempty an empty slice would come back as nil: use omitzero"},
		{typeError[struct {
			A map[string]int `json:"a,omitempty"`
		}](), "map[string]int", ".A", "with omitempty an empty map would come back as nil: use omitzero"},
		{typeError[struct {
			A int `json:"B"`
			B int
		}](), "struct { A int \"json:\\\"B\\\"\"; B int }", ".B", `it is stored under the name "B", as .A is: give one of them another name`},
		{typeError[shadow](), "codec.shadow", "shadow.A", `it is stored under the name "A", as shadow.inner.A is: give one of them another name`},
		{typeError[diamond](), "codec.Inner2", "diamond.Inner2.A", `it is stored under the name "A", as diamond.inner.A is: give one of them another name`},
		{typeError[struct{ *Inner2 }](), "*codec.Inner2", ".Inner2", "an embedded pointer is lost where it is nil: name the field"},
		{typeError[boxOf[onlyWrites]](), "codec.onlyWrites", "boxOf[github.com/flujo/flujo-harness/core/internal/codec.onlyWrites].Value", "it has MarshalJSON but not UnmarshalJSON: add it"},
		{typeError[onlyReads](), "codec.onlyReads", "onlyReads", "it has UnmarshalJSON but not MarshalJSON: add it"},
		{typeError[onlyText](), "codec.onlyText", "onlyText", "it has MarshalText but not UnmarshalText: add it"},
		{typeError[readsText](), "codec.readsText", "readsText", "it has UnmarshalText but not MarshalText: add it"},
		{typeError[stamped](), "codec.stamped", "stamped", embeddedTrap},
		{typeError[stampedOf[int]](), "codec.stampedOf[int]", "stampedOf[int]", embeddedTrap},
		{typeError[halfStamped](), "codec.halfStamped", "halfStamped", embeddedTrap},
		{typeError[twoStamps](), "time.Time", "twoStamps.Time", "an embedded field with marshal methods of its own is stored by its fields or not at all: name the field"},
		{typeError[struct {
			L level `json:",string"`
		}](), "codec.level", ".L", "the tag option string does not go with a marshal method of its own: remove it"},
		{typeError[map[string]byAddress](), "codec.byAddress", "[]", "its marshal method is on the pointer and is not called for elements of a map: use a map of pointers, or declare the method on the value"},
		{typeError[map[string][2]boxOf[big.Int]](), "big.Int", "[][].Value", "its marshal method is on the pointer and is not called for elements of a map: use a map of pointers, or declare the method on the value"},
		{typeError[badTree](), "codec.byAddress", "badTree.M[].At", "its marshal method is on the pointer and is not called for elements of a map: use a map of pointers, or declare the method on the value"},
		{typeError[**int](), "**int", "", "a pointer to a nil ptr would come back as nil: use the ptr without the pointer"},
		{typeError[*[]int](), "*[]int", "", "a pointer to a nil slice would come back as nil: use the slice without the pointer"},
		{typeError[*map[int]int](), "*map[int]int", "", "a pointer to a nil map would come back as nil: use the map without the pointer"},
		{typeError[*any](), "*interface {}", "", "a pointer to a nil interface would come back as nil: use the interface without the pointer"},
		{typeError[selfPtr](), "codec.selfPtr", "selfPtr", "a pointer to a nil ptr would come back as nil: use the ptr without the pointer"},
		{typeError[map[float64]int](), "float64", "[key]", keys},
		{typeError[map[bool]int](), "bool", "[key]", keys},
		{typeError[map[structKey]int](), "codec.structKey", "[key]", keys},
		{typeError[map[any]int](), "interface {}", "[key]", "a key cannot be read back into it: use a string, an integer or a type with MarshalText and UnmarshalText"},
		{typeError[map[keyWrites]int](), "codec.keyWrites", "[key]", "the key has MarshalText but not UnmarshalText: add it"},
		{typeError[map[keyReads]int](), "codec.keyReads", "[key]", "the key has UnmarshalText but not MarshalText, or not on the value: add it"},
	} {
		var got *TypeError
		if !errors.As(tc.err, &got) {
			t.Errorf("%s at %q: error %v, want a TypeError", tc.typ, tc.field, tc.err)
			continue
		}
		// A mutex begins with fields that differ from one Go to the next.
		if tc.typ == "sync.noCopy" {
			tc.typ, tc.field = got.Type, got.Field
		}
		if want := (TypeError{tc.typ, tc.field, tc.problem}); *got != want {
			t.Errorf("\ngot  %+v\nwant %+v", *got, want)
		}
	}
}

type onlyInt int

func TestTypesThatCanBeStored(t *testing.T) {
	for _, err := range []error{
		typeError[any](), typeError[string](), typeError[int](), typeError[*inner](), typeError[uintptr](), typeError[[0]int](),
		typeError[tree](), typeError[treeMap](), typeError[trees](), typeError[padded](), typeError[boxOf[boxOf[int]]](),
		typeError[stampOnly](), typeError[declared](), typeError[declaredOf[string]](), typeError[map[level]color](),
		typeError[map[netip.Addr]*big.Int](), typeError[*json.RawMessage](), typeError[map[string]*byAddress](),
		typeError[[]byAddress](), typeError[struct{ A, AB int }](),
	} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestShapesAreSharedAndSafeForConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := New[trees](); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a, _ := shapeOf(reflect.TypeFor[trees]())
	if b, _ := shapeOf(reflect.TypeFor[trees]()); a != b {
		t.Error("two shapes of one type")
	}
}

func TestTypeErrorNamesTheField(t *testing.T) {
	if got, want := typeError[chan int]().Error(), "type chan int cannot be stored: a chan has no stored form: keep it out of the scope"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	err := typeError[boxOf[chan int]]()
	if want := "field boxOf[chan int].Value of type chan int cannot be stored: a chan has no stored form: keep it out of the scope"; err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}
