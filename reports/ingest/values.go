package ingest

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// values reads a JSON text value by value. Names that an object has twice, text
// behind the end, and values beyond maxValue are errors; bytes that are no UTF-8
// become U+FFFD. Every error is a [*FormatError] with the byte that was reached.
type values struct {
	*jsontext.Decoder
	meter  *meter
	format string
}

func newValues(in *input, format string) *values {
	return &values{jsontext.NewDecoder(filled{in}, jsontext.AllowInvalidUTF8(true)), in.meter, format}
}

// filled reads as much as is asked for: the decoder moves its whole buffer each time
// that it wants more of a long value.
type filled struct{ r io.Reader }

func (f filled) Read(p []byte) (int, error) {
	n, err := io.ReadFull(f.r, p)
	if n > 0 {
		return n, nil // the error comes again
	}
	return n, err
}

// fault says where the text is at fault.
func (v *values) fault(err error) error {
	if f := (*FormatError)(nil); errors.As(err, &f) {
		return err
	}
	return &FormatError{Format: v.format, Offset: v.InputOffset(), Err: cutShort(err)}
}

// plainJSON leaves out of an error what FormatError says in its own way.
func plainJSON(err error) error {
	if s := (*jsontext.SyntacticError)(nil); errors.As(err, &s) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fmt.Errorf("%s is there twice: it could mean either: %w", orRoot(s.JSONPointer), jsontext.ErrDuplicateName)
		}
		if errors.Is(s.Err, io.ErrUnexpectedEOF) {
			return s.Err
		}
		return fmt.Errorf("it is no JSON: %w", s.Err)
	}
	if s := (*json.SemanticError)(nil); errors.As(err, &s) && s.JSONKind != 0 {
		return fmt.Errorf("%s is a JSON %v, which does not fit", orRoot(s.JSONPointer), s.JSONKind)
	}
	return err
}

func orRoot(p jsontext.Pointer) string {
	if p == "" {
		return "the object"
	}
	return string(p)
}

// whole reads a text that is one value, which begins with open.
func (v *values) whole(open jsontext.Kind, read func() error) error {
	v.room()
	token, err := v.ReadToken()
	if err != nil {
		return v.fault(plainJSON(err))
	}
	if token.Kind() != open {
		return v.fault(fmt.Errorf("it starts with %v where %v is needed", token, open))
	}
	if err := read(); err != nil {
		return v.fault(err)
	}
	if _, err := v.ReadToken(); err != nil {
		return v.fault(plainJSON(err))
	}
	v.room()
	switch _, err := v.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	default:
		return v.fault(errors.New("there is more behind the end of it"))
	}
}

// rest reads what is left of an object or array that is open.
func (v *values) rest(read func() error) error {
	for v.more() {
		if err := read(); err != nil {
			return v.fault(err)
		}
	}
	return nil
}

// more reports whether another member follows.
func (v *values) more() bool {
	v.room()
	k := v.PeekKind()
	return k != '}' && k != ']' && k != jsontext.KindInvalid
}

// room allows for one more value.
func (v *values) room() { v.meter.allow = v.meter.n + maxValue }

// object reads an object, member by member: read takes the value.
func (v *values) object(read func(name string) error) error {
	return v.members('{', func() error { return v.name(read) })
}

// name reads the name of a member: read takes the value.
func (v *values) name(read func(name string) error) error {
	name, err := v.ReadToken()
	if err != nil {
		return v.fault(plainJSON(err))
	}
	return read(name.String())
}

// array reads an array; null is an empty one.
func (v *values) array(read func() error) error {
	if v.PeekKind() == 'n' {
		_, err := v.ReadToken()
		return err
	}
	return v.members('[', read)
}

func (v *values) members(open jsontext.Kind, read func() error) error {
	v.room()
	token, err := v.ReadToken()
	if err != nil {
		return v.fault(plainJSON(err))
	}
	if token.Kind() != open {
		return v.fault(fmt.Errorf("%s is %v where %v is needed", orRoot(v.StackPointer()), token, open))
	}
	if err := v.rest(read); err != nil {
		return err
	}
	if _, err := v.ReadToken(); err != nil {
		return v.fault(plainJSON(err))
	}
	return nil
}

// value reads the next value as it is, to be used before the next is read.
func (v *values) value() (jsontext.Value, error) {
	v.room()
	value, err := v.ReadValue()
	if err != nil {
		return nil, v.fault(plainJSON(err))
	}
	return value, nil
}

// decode reads the next value into a Go value.
func (v *values) decode(into any, options ...json.Options) error {
	v.room()
	if err := json.UnmarshalDecode(v.Decoder, into, options...); err != nil {
		return v.fault(plainJSON(err))
	}
	return nil
}

// skip passes over the next value.
func (v *values) skip() error {
	v.room()
	if err := v.SkipValue(); err != nil {
		return v.fault(plainJSON(err))
	}
	return nil
}
