package ingest

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// values reads a JSON text value by value. Duplicate names in an object, text after the end, and
// values larger than maxValue are errors; invalid UTF-8 becomes U+FFFD. Every error is a
// [*FormatError] with the offset that was reached.
type values struct {
	*jsontext.Decoder
	meter  *meter
	format string
}

func newValues(in *input, format string) *values {
	return &values{jsontext.NewDecoder(filled{in}, jsontext.AllowInvalidUTF8(true)), in.meter, format}
}

// filled fills the whole buffer on each Read: the decoder moves its buffer for each read within a
// long value, so short reads would take quadratic time.
type filled struct{ r io.Reader }

func (f filled) Read(p []byte) (int, error) {
	n, err := io.ReadFull(f.r, p)
	if n > 0 {
		return n, nil // the error comes again
	}
	return n, err
}

// fault returns a FormatError at the current offset.
func (v *values) fault(err error) error {
	if f := (*FormatError)(nil); errors.As(err, &f) {
		return err
	}
	return &FormatError{Format: v.format, Offset: v.InputOffset(), Err: cutShort(err)}
}

// plainJSON removes from an error what FormatError already contains, such as the offset.
func plainJSON(err error) error {
	if s := (*jsontext.SyntacticError)(nil); errors.As(err, &s) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fmt.Errorf("%s occurs twice, so its value is ambiguous: %w", orRoot(s.JSONPointer), jsontext.ErrDuplicateName)
		}
		if errors.Is(s.Err, io.ErrUnexpectedEOF) {
			return s.Err
		}
		return fmt.Errorf("it is not JSON: %w", s.Err)
	}
	if s := (*json.SemanticError)(nil); errors.As(err, &s) && s.JSONKind != 0 {
		return fmt.Errorf("%s has the wrong type: it is a JSON %v", orRoot(s.JSONPointer), s.JSONKind)
	}
	return err
}

func orRoot(p jsontext.Pointer) string {
	if p == "" {
		return "the object"
	}
	return string(p)
}

// whole reads a text that consists of one value, which begins with open.
func (v *values) whole(open jsontext.Kind, read func() error) error {
	v.room()
	token, err := v.ReadToken()
	if err != nil {
		return v.fault(plainJSON(err))
	}
	if token.Kind() != open {
		return v.fault(fmt.Errorf("it starts with %v instead of %v", token, open))
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
		return v.fault(errors.New("there is text after its end"))
	}
}

// rest reads the remaining members of the current object or array.
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

// room raises the limit of the meter for one more value.
func (v *values) room() { v.meter.allow = v.meter.n + maxValue }

// object reads an object. It calls read for each member, which must read the value.
func (v *values) object(read func(name string) error) error {
	return v.members('{', func() error { return v.name(read) })
}

// name reads the name of a member and calls read, which must read the value.
func (v *values) name(read func(name string) error) error {
	name, err := v.ReadToken()
	if err != nil {
		return v.fault(plainJSON(err))
	}
	return read(name.String())
}

// array reads an array. null counts as an empty one.
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
		return v.fault(fmt.Errorf("%s is %v instead of %v", orRoot(v.StackPointer()), token, open))
	}
	if err := v.rest(read); err != nil {
		return err
	}
	if _, err := v.ReadToken(); err != nil {
		return v.fault(plainJSON(err))
	}
	return nil
}

// value returns the next value undecoded. It is valid until the next read.
func (v *values) value() (jsontext.Value, error) {
	v.room()
	value, err := v.ReadValue()
	if err != nil {
		return nil, v.fault(plainJSON(err))
	}
	return value, nil
}

// decode decodes the next value into a Go value.
func (v *values) decode(into any, options ...json.Options) error {
	v.room()
	if err := json.UnmarshalDecode(v.Decoder, into, options...); err != nil {
		return v.fault(plainJSON(err))
	}
	return nil
}

// skip skips the next value.
func (v *values) skip() error {
	v.room()
	if err := v.SkipValue(); err != nil {
		return v.fault(plainJSON(err))
	}
	return nil
}
