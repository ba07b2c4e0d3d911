package ingest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"
)

// Limits of the shape of a file. Real files have about 10 levels and 15 attributes.
const (
	maxDepth      = 64
	maxAttributes = 256
)

// xmlReader reads the elements of an XML text and enforces the limits of its shape. All XML formats
// use it.
type xmlReader struct {
	d     *xml.Decoder
	clean *cleanXML
	path  []string          // names of the open elements, outermost first
	seen  bool              // a root element was read
	a     map[string]string // attributes of the current element; the map is reused
	text  *excerpt          // receives the text; nil if it is not needed
	until int               // depth of the element whose text is collected
}

// xmlHandler handles the elements of one format. In start and end, the depth of the element is that
// of the xmlReader.
type xmlHandler interface {
	start(name string, a map[string]string) error // a is valid until it returns
	end(name string) error
	finish() error     // called at the end of the text
	suiteName() string // name of the current suite, for errors
}

// readXML reads a text with the handler that make returns. Every error is a [*FormatError] with the
// line that was reached.
func readXML(in *input, format string, make func(*xmlReader) xmlHandler) error {
	src, err := declared(in)
	if err != nil {
		return &FormatError{Format: format, Line: 1, Err: err, Next: "write the file in UTF-8"}
	}
	clean := newCleanXML(src.Reader)
	x := &xmlReader{a: map[string]string{}, d: xml.NewDecoder(clean), clean: clean}
	x.d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // already converted to UTF-8
	h := make(x)
	if err := x.walk(h); err != nil {
		f := &FormatError{Format: format, Line: x.line(), Suite: h.suiteName(), Err: err}
		if syntax := (*xml.SyntaxError)(nil); errors.As(err, &syntax) {
			f.Line, f.Err = syntax.Line+clean.lines, errors.New(syntax.Msg)
			if syntax.Msg == "unexpected EOF" {
				f.Err = cutShort(io.ErrUnexpectedEOF)
			}
		}
		return f
	}
	return nil
}

// line returns the number of the current line, from 1.
func (x *xmlReader) line() int {
	line, _ := x.d.InputPos()
	return line + x.clean.lines
}

// depth returns the depth of the element that begins or ends. That of the root is 1.
func (x *xmlReader) depth() int { return len(x.path) }

// within reports whether the parent of the element has this name.
func (x *xmlReader) within(name string) bool {
	n := len(x.path)
	return n > 1 && x.path[n-2] == name
}

func (x *xmlReader) walk(h xmlHandler) error {
	for {
		token, err := x.d.Token()
		if err == io.EOF && x.seen {
			return h.finish()
		}
		if err != nil {
			return cutShort(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			err = x.element(&t, h)
		case xml.EndElement:
			if x.text != nil && len(x.path) < x.until {
				x.text = nil
			}
			err = h.end(t.Name.Local)
			x.path = x.path[:len(x.path)-1]
		case xml.CharData:
			if x.text != nil {
				x.text.add(string(t))
			} else if len(x.path) == 0 && strings.TrimSpace(string(t)) != "" {
				err = errors.New("there is text outside the root element")
			}
		}
		if err != nil {
			return err
		}
	}
}

func (x *xmlReader) element(t *xml.StartElement, h xmlHandler) error {
	if err := x.attributes(t); err != nil {
		return err
	}
	if x.path = append(x.path, t.Name.Local); len(x.path) > maxDepth {
		return fmt.Errorf("%w: elements are nested %d deep", ErrTooBig, len(x.path))
	}
	if len(x.path) == 1 {
		if x.seen {
			return fmt.Errorf("a second root element <%s> begins after the end of the first", t.Name.Local)
		}
		x.seen = true
	}
	return h.start(t.Name.Local, x.a)
}

// collect adds the text up to the end of the element, including that of its child elements, to text.
func (x *xmlReader) collect(text *excerpt) { x.text, x.until = text, len(x.path) }

// attributes reads the attributes of an element. Unlike encoding/xml it rejects duplicate names.
func (x *xmlReader) attributes(t *xml.StartElement) error {
	clear(x.a)
	if len(t.Attr) > maxAttributes {
		return fmt.Errorf("%w: <%s> has %d attributes", ErrTooBig, t.Name.Local, len(t.Attr))
	}
	for _, attr := range t.Attr {
		name := attr.Name.Local
		if attr.Name.Space != "" {
			name = attr.Name.Space + ":" + name
		}
		if _, twice := x.a[name]; twice {
			return fmt.Errorf("<%s> has the attribute %q twice", t.Name.Local, name)
		}
		x.a[name] = attr.Value
	}
	return nil
}

// noSuchRoot returns the error of a root element that the format does not have.
func noSuchRoot(name, need string) error {
	next := need + " is needed"
	if converter := otherXML[name]; converter != "" {
		next = "JUnit XML is needed: " + converter
	}
	return fmt.Errorf("%w: its root element is <%s> where %s", ErrUnknownFormat, name, next)
}

var encodingName = regexp.MustCompile(`^\s*<\?xml[^>]*\sencoding\s*=\s*["']([^"']+)["']`)

// declared converts a text from the encoding that its XML declaration names to UTF-8.
func declared(in *input) (*input, error) {
	head, _ := in.Peek(256)
	name := encodingName.FindSubmatch(head)
	if name == nil {
		return in, nil
	}
	switch label := strings.ToLower(string(name[1])); {
	case label == "utf-8", label == "utf8", strings.HasPrefix(label, "utf-16"): // UTF-16 was decoded by its byte order mark
		return in, nil
	default:
		encoding, err := htmlindex.Get(label)
		if err != nil {
			return nil, fmt.Errorf("its encoding %q is not known", label)
		}
		return &input{newBuffer(transform.NewReader(in, encoding.NewDecoder())), in.meter}, nil
	}
}
