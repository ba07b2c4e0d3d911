package codec

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// text writes a string as encoding/json does, with the characters escaped that have a
// meaning in HTML or JavaScript.
func (e *encoder) text(s string) *fault {
	e.data = append(e.data, '"')
	for s != "" {
		n := plainBytes(s)
		if n == 0 {
			n = plainRunes(s)
		}
		if n > 0 {
			e.data = append(e.data, s[:n]...)
			s = s[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError {
			return notUTF8()
		}
		e.escape(r)
		s = s[size:]
	}
	e.data = append(e.data, '"')
	return nil
}

func (e *encoder) escape(r rune) {
	const short = "\bb\ff\nn\rr\tt\\\\\"\""
	if i := strings.IndexRune(short, r); i >= 0 && i%2 == 0 {
		e.data = append(e.data, '\\', short[i+1])
		return
	}
	const hex = "0123456789abcdef"
	e.data = append(e.data, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// plainBytes is how many bytes from the start of text are known to stand for themselves in a
// string of JSON. Where it is 0 the first one does not.
func plainBytes(text string) int {
	s, n := []byte(text), 0 // the compiler makes no copy
	for ; len(s) >= 16; s = s[16:] {
		if special(binary.LittleEndian.Uint64(s))|special(binary.LittleEndian.Uint64(s[8:])) != 0 {
			break
		}
		n += 16
	}
	for _, b := range s[:min(len(s), 16)] {
		if b < 0x20 || b >= utf8.RuneSelf || b == '"' || b == '&' || b == '<' || b == '>' || b == '\\' {
			break
		}
		n++
	}
	return n
}

// special is not 0 where one of eight bytes does not stand for itself, or is ^, | or ~. It looks
// at all of them at once: where no byte has its high bit set and none below borrows, that of
// x-n*ones is set in the bytes that are less than n, and that of (x^n*ones)-ones in those that
// equal n.
func special(x uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quotes := (x | 0x04*ones) ^ '&'*ones // " and & differ in one bit
	others := (x | 0x62*ones) ^ '~'*ones // <, > and \ differ from ~ in these three at most
	return (x | (x - 0x20*ones) | (quotes - ones) | (others - ones)) & high
}

// plainRunes is how many bytes from the start of s are characters beyond ASCII that stand
// for themselves.
func plainRunes(s string) int {
	n := 0
	for n < len(s) && s[n] >= utf8.RuneSelf {
		r, size := utf8.DecodeRuneInString(s[n:])
		if r == utf8.RuneError && size == 1 || r == '\u2028' || r == '\u2029' {
			break
		}
		n += size
	}
	return n
}
