package codec

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

type (
	fakeClock struct{ calls int }
	fakeFunc  func()
	mockOf    struct{ Mocked time.Location } // time stands for a mock package
	withFake  struct {
		Clock *fakeClock
		More  []any
	}
	fakeTime  struct{ Clock fakeClock }
	mockMaker struct{ Ctrl *time.Location }
)

func (f *fakeClock) TestDouble() { f.calls++ }
func (fakeFunc) TestDouble()     {}

func TestDoublesAreFoundByMarkAndByPackage(t *testing.T) {
	defer func(old []string) { doublePackages = old }(doublePackages)
	for typ, want := range map[reflect.Type]bool{
		reflect.TypeFor[fakeClock]():                 true,
		reflect.TypeFor[*fakeClock]():                true,
		reflect.TypeFor[fakeFunc]():                  true,
		reflect.TypeFor[fakeTime]():                  false, // its field is one
		reflect.TypeFor[mockOf]():                    false,
		reflect.TypeFor[string]():                    false,
		reflect.TypeFor[time.Location]():             false,
		reflect.TypeFor[selfPtr]():                   false,
		reflect.TypeFor[interface{ TestDouble() }](): false,
	} {
		if got := isDouble(typ); got != want {
			t.Errorf("%v: %v", typ, got)
		}
	}
	doublePackages = append([]string{"time"}, doublePackages...)
	for _, typ := range []reflect.Type{reflect.TypeFor[mockOf](), reflect.TypeFor[*mockMaker](), reflect.TypeFor[time.Month]()} {
		if !isDouble(typ) {
			t.Errorf("%v: not a double", typ)
		}
	}
	if want := []string{"github.com/stretchr/testify/mock", "go.uber.org/mock/gomock", "github.com/golang/mock/gomock"}; !reflect.DeepEqual(doublePackages[1:], want) {
		t.Errorf("packages %q", doublePackages)
	}
}

func TestDoublesAreStoredOnlyWhereAllowed(t *testing.T) {
	type scope struct {
		Name  string
		Clock *fakeClock
		More  []any
	}
	c, err := New[scope]()
	if err != nil {
		t.Fatal(err) // for the unexported field of the double
	}
	for _, tc := range []struct {
		scope scope
		want  *DoubleError
		json  string
	}{
		{scope{Name: "none"}, nil, `{"Name":"none","Clock":null,"More":null}`},
		{scope{More: []any{(*fakeClock)(nil)}}, nil, ""},
		{scope{Clock: &fakeClock{}}, &DoubleError{"Clock", "codec.fakeClock"}, `{"Name":"","Clock":{},"More":null}`},
		{scope{More: []any{"x", &fakeClock{}}}, &DoubleError{"More[1]", "*codec.fakeClock"}, `{"Name":"","Clock":null,"More":["x",{}]}`},
		{scope{More: []any{map[string]any{"k": fakeClock{}}}}, &DoubleError{`More[0]["k"]`, "codec.fakeClock"}, `{"Name":"","Clock":null,"More":[{"k":{}}]}`},
	} {
		_, err := c.Encode(&tc.scope, false)
		var got *DoubleError
		if errors.As(err, &got); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%+v: error %v, want %v", tc.scope, err, tc.want)
		}
		if tc.json == "" {
			var lost *ValueError // a nil pointer is no double, and not nil either
			if !errors.As(err, &lost) {
				t.Errorf("%+v: error %v", tc.scope, err)
			}
			continue
		}
		if data, err := c.Encode(&tc.scope, true); err != nil || string(data) != tc.json {
			t.Errorf("%+v allowed: %s, %v, want %s", tc.scope, data, err, tc.json)
		}
	}
}

func TestDoublesAreSharedByCopies(t *testing.T) {
	c, err := New[withFake]()
	if err != nil {
		t.Fatal(err)
	}
	clock := &fakeClock{}
	got, err := c.Copy(&withFake{Clock: clock, More: []any{clock, []any{clock}}})
	if err != nil || got.Clock != clock || got.More[0] != any(clock) || got.More[1].([]any)[0] != any(clock) {
		t.Errorf("copy %+v, error %v", got, err)
	}
}

func TestDoublesThatJSONCannotWriteAreNamed(t *testing.T) {
	type scope struct{ Call fakeFunc }
	c, err := New[scope]()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Encode(&scope{func() {}}, true)
	var bad *ValueError
	if !errors.As(err, &bad) || bad.Field != "Call" {
		t.Errorf("error %v", err)
	}
}

func TestDoubleErrorSaysWhatToDo(t *testing.T) {
	const want = "Clock holds codec.fakeClock, a test double, which may not be stored: give the run a real value, or allow doubles where this is a test"
	if got := (&DoubleError{"Clock", "codec.fakeClock"}).Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
