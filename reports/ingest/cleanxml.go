package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/reports"
)

// cleanXML filters an XML text so that encoding/xml can read it safely. Test runners copy the
// output of tests, which may contain characters that XML 1.0 does not allow, raw (ESC) or as a
// reference ("&#x1b;"), and invalid UTF-8. They become U+FFFD, as in Go's own encoder. Comments and
// a document type that consists of a name are removed. The text of an element is cut at maxText
// bytes. A tag of more than maxTag bytes, a document type with entities or an external identifier,
// and an end of the text inside a comment or the like are errors.
type cleanXML struct {
	src   *bufio.Reader
	state xmlState
	quote byte                 // in a tag: the quote that ends the value, 0 outside of values
	run   int                  // bytes of this tag, or of the text since the last tag
	lines int                  // line breaks that were removed
	note  []byte               // beginning of this comment
	noted func(comment string) // called with each short comment; may be nil
	out   []byte
	rest  []byte // part of out that was not read yet
	err   error
}

type xmlState int

const (
	inText xmlState = iota
	inTag
	inCDATA
	inComment
	inInstruction
)

const (
	maxText = 2 * reports.MaxMessage // bytes of the text of an element: more than is kept of any message
	maxTag  = 8 << 20                // bytes of a tag: some writers put messages into attributes
	maxNote = 64                     // bytes of a comment that is reported
)

func newCleanXML(src *bufio.Reader) *cleanXML { return &cleanXML{src: src} }

func (c *cleanXML) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		c.out = c.out[:0]
		c.err = c.step()
		c.rest = c.out
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// xmlEnds are the texts that end each state.
var xmlEnds = map[xmlState]string{inCDATA: "]]>", inComment: "-->", inInstruction: "?>"}

// step filters the next piece of the text.
func (c *cleanXML) step() error {
	const least = 16 // longer than any mark or character reference that is searched for
	chunk, err := c.src.Peek(max(least, c.src.Buffered()))
	last := err != nil
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case len(chunk) == 0 && c.state != inText:
		return fmt.Errorf("it is cut short: %w", io.ErrUnexpectedEOF)
	case len(chunk) == 0:
		return io.EOF
	}
	switch c.state {
	case inText:
		return c.text(chunk, last)
	case inTag:
		return c.tag(chunk, last)
	}
	end := xmlEnds[c.state]
	i := bytes.Index(chunk, []byte(end))
	n := i + len(end)
	if i < 0 {
		if n = len(chunk); !last {
			n = whole(chunk[:n-len(end)+1], false)
		}
	}
	switch c.state {
	case inComment:
		c.lines += bytes.Count(chunk[:n], []byte("\n"))
		text := chunk[:n]
		if i >= 0 {
			text = chunk[:i]
		}
		c.note = append(c.note, text[:min(len(text), maxNote+1-len(c.note))]...)
		if i >= 0 && len(c.note) <= maxNote && c.noted != nil {
			c.noted(string(c.note))
		}
	case inInstruction:
		if c.run += n; c.run > maxTag {
			return fmt.Errorf("%w: a processing instruction of more than %d MiB", ErrTooBig, maxTag>>20)
		}
		c.emit(chunk[:n], false)
	case inCDATA:
		if i < 0 {
			c.kept(chunk[:n], false)
		} else {
			c.kept(chunk[:i], false)
			c.out = append(c.out, end...)
		}
	}
	if i >= 0 {
		c.state = inText
	}
	_, err = c.src.Discard(n)
	return err
}

// text filters the text up to the next mark, and the mark.
func (c *cleanXML) text(chunk []byte, last bool) error {
	i := bytes.IndexByte(chunk, '<')
	if i != 0 {
		n := i
		if i < 0 {
			n = whole(chunk, last)
		}
		c.kept(chunk[:n], true)
		_, err := c.src.Discard(n)
		return err
	}
	mark := 1
	switch {
	case bytes.HasPrefix(chunk, []byte("<![CDATA[")):
		c.state, mark = inCDATA, len("<![CDATA[")
		c.out = append(c.out, chunk[:mark]...)
	case bytes.HasPrefix(chunk, []byte("<!--")):
		c.state, mark, c.note = inComment, len("<!--"), c.note[:0]
	case bytes.HasPrefix(chunk, []byte("<!")):
		return c.doctype()
	case bytes.HasPrefix(chunk, []byte("<?")):
		c.state, c.run, mark = inInstruction, 0, len("<?")
		c.out = append(c.out, chunk[:mark]...)
	default:
		c.state, c.run, c.quote = inTag, 0, 0
		c.out = append(c.out, '<')
	}
	_, err := c.src.Discard(mark)
	return err
}

var plainDoctype = regexp.MustCompile(`^<!(?i:DOCTYPE)\s+[A-Za-z_][-.\w]*\s*>`)

// doctype removes a document type that declares nothing. It rejects entities, because their
// expansion can make a small file huge, and external identifiers, because the file that they name
// is not read.
func (c *cleanXML) doctype() error {
	chunk, _ := c.src.Peek(min(256, c.src.Size())) // an error is that of the next read
	text := plainDoctype.Find(chunk)
	if text == nil {
		return errors.New("it has a document type (<!…>) with entities or an external identifier, which results do not need: remove it")
	}
	c.lines += bytes.Count(text, []byte("\n"))
	_, err := c.src.Discard(len(text))
	return err
}

// tag copies a tag up to its end or the end of the chunk.
func (c *cleanXML) tag(chunk []byte, last bool) error {
	n := 0
	for n < len(chunk) && c.state == inTag {
		var i int
		if c.quote != 0 {
			i = bytes.IndexByte(chunk[n:], c.quote)
		} else {
			i = bytes.IndexAny(chunk[n:], `"'>`)
		}
		if i < 0 {
			n += max(0, whole(chunk[n:], last))
			break
		}
		switch b := chunk[n+i]; {
		case c.quote != 0:
			c.quote = 0
		case b == '>':
			c.state = inText
		default:
			c.quote = b
		}
		n += i + 1
	}
	if c.run += n; c.run > maxTag {
		return fmt.Errorf("%w: one tag of more than %d MiB", ErrTooBig, maxTag>>20)
	}
	c.emit(chunk[:n], true)
	if c.state == inText {
		c.run = 0
	}
	_, err := c.src.Discard(n)
	return err
}

// kept emits the part of b that is within the limit of the text of an element.
func (c *cleanXML) kept(b []byte, references bool) {
	if room := max(0, maxText-c.run); len(b) > room {
		end := whole(b[:room], false)
		c.lines += bytes.Count(b[end:], []byte("\n"))
		c.run += len(b)
		b = b[:end]
	}
	c.run += len(b)
	c.emit(b, references)
}

// whole returns the length of the part of a chunk that can be filtered without its continuation:
// it does not end within a character or a reference.
func whole(chunk []byte, last bool) int {
	n := len(chunk)
	if last {
		return n
	}
	for i := 1; i < utf8.UTFMax && i <= n; i++ {
		if b := chunk[n-i]; utf8.RuneStart(b) {
			if !utf8.FullRune(chunk[n-i:]) {
				n -= i
			}
			break
		}
	}
	if i := bytes.LastIndexByte(chunk[:n], '&'); i >= 0 && n-i < 12 && bytes.IndexByte(chunk[i:n], ';') < 0 {
		n = i
	}
	return n
}

// emit appends b to out, cleaned.
func (c *cleanXML) emit(b []byte, references bool) {
	from := 0
	replace := func(i, n int) {
		c.out = append(append(c.out, b[from:i]...), "\ufffd"...)
		from = i + n
	}
	for i := 0; i < len(b); {
		switch ch := b[i]; {
		case ch >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 || r == 0xfffe || r == 0xffff {
				replace(i, n)
			}
			i += n
		case ch < ' ' && ch != '\t' && ch != '\n' && ch != '\r':
			replace(i, 1)
			i++
		case ch == '&' && references:
			n, legal := reference(b[i:])
			if !legal {
				replace(i, n)
			}
			i += n
		default:
			i++
		}
	}
	c.out = append(c.out, b[from:]...)
}

// reference parses a reference such as "&#27;" or "&#x1b;" at the start of b. It returns its length
// and whether XML allows the character; for anything else 1 and true.
func reference(b []byte) (n int, legal bool) {
	if len(b) < 4 || b[1] != '#' {
		return 1, true
	}
	i, base := 2, rune(10)
	if b[i] == 'x' {
		i, base = 3, 16
	}
	var r rune
	digits := 0
	for ; i < len(b) && b[i] != ';'; i++ {
		d := rune(-1)
		switch ch := b[i]; {
		case '0' <= ch && ch <= '9':
			d = rune(ch - '0')
		case base == 16 && 'a' <= ch|0x20 && ch|0x20 <= 'f':
			d = rune(ch|0x20-'a') + 10
		}
		if d < 0 {
			return 1, true
		}
		r = min(r*base+d, utf8.MaxRune+1)
		digits++
	}
	if i == len(b) || digits == 0 {
		return 1, true
	}
	legal = r == '\t' || r == '\n' || r == '\r' ||
		' ' <= r && r <= 0xd7ff || 0xe000 <= r && r <= 0xfffd || 0x10000 <= r && r <= utf8.MaxRune
	return i + 1, legal
}
