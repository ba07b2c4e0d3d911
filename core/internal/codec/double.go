package codec

import (
	"fmt"
	"reflect"
	"slices"
)

// DoubleError is a test double about to be stored: outside a test it means that
// a mock has reached a durable run.
type DoubleError struct {
	Field string
	Type  string
}

func (e *DoubleError) Error() string {
	return fmt.Sprintf("%s holds %s, a test double, which may not be stored: give the run a real value, or allow doubles where this is a test", named(e.Field), e.Type)
}

// doublePackages declare what mocks are made of. The names are compared, so that
// core needs none of them.
var doublePackages = []string{
	"github.com/stretchr/testify/mock",
	"go.uber.org/mock/gomock",
	"github.com/golang/mock/gomock",
}

var doubleMarker = reflect.TypeFor[interface{ TestDouble() }]()

// isDouble reports whether the values of a type stand in for real ones: they say
// so themselves, or they are made of what a mock package declares.
func isDouble(t reflect.Type) bool {
	t = pointee(t)
	if t.Kind() == reflect.Interface {
		return false // its dynamic type is asked
	}
	if reflect.PointerTo(t).Implements(doubleMarker) || slices.Contains(doublePackages, t.PkgPath()) {
		return true
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	for f := range t.Fields() {
		if slices.Contains(doublePackages, pointee(f.Type).PkgPath()) {
			return true
		}
	}
	return false
}

// pointee follows one pointer: a type may be its own pointer without end.
func pointee(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
