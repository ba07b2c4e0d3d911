package codec

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// text writes a string as encoding/json does, with the characters escaped that have a
// meaning in HTML or JavaScript.
func (e *encoder) text(s string) *fault {
	kept, n := &e.plain[len(s)%len(e.plain)], len(s)
	if *kept != s {
		n = plainBytes(s)
		if n == len(s) && n >= leastPlain && n <= mostPlain {
			*kept = s
		}
	}
	if n == len(s) {
		e.data = append(append(append(e.data, '"'), s...), '"')
		return nil
	}
	e.data = append(e.data, '"')
	for s != "" {
		if n == 0 {
			n = plainRunes(s)
		}
		if n > 0 {
			e.data = append(e.data, s[:n]...)
			s = s[n:]
		} else {
			r, size := utf8.DecodeRuneInString(s)
			if r == utf8.RuneError {
				return notUTF8()
			}
			e.escape(r)
			s = s[size:]
		}
		n = plainBytes(s)
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

// plainByte is true for bytes that are written unchanged in a string of JSON.
var plainByte = func() (plain [256]bool) {
	for b := 0x20; b < utf8.RuneSelf; b++ {
		plain[b] = b != '"' && b != '&' && b != '<' && b != '>' && b != '\\'
	}
	return plain
}()

// plainBytes returns a number of bytes from the start of text that are written unchanged in a
// string of JSON. It is 0 only if the first byte is not.
func plainBytes(text string) int {
	s := []byte(text) // the compiler makes no copy
	for len(s) >= 32 && (special(s)|special(s[8:])|special(s[16:])|special(s[24:]))&high == 0 {
		s = s[32:]
	}
	for len(s) >= 8 && special(s)&high == 0 {
		s = s[8:]
	}
	for i, b := range s[:min(len(s), 8)] {
		if !plainByte[b] {
			return len(text) - len(s) + i
		}
	}
	return len(text) - len(s) + min(len(s), 8)
}

// Each byte of a word is one, or has only its high bit set.
const ones, high = 0x0101010101010101, 0x8080808080808080

// special returns a word with a high bit that is set if one of the first eight bytes is not
// written unchanged, or is ^, | or ~. It tests all of them at once: if no byte has its high bit
// set and none below borrows, the high bit of x-n*ones is set in the bytes that are less than n,
// and that of (x^n*ones)-ones in those that equal n.
func special(s []byte) uint64 {
	x := binary.LittleEndian.Uint64(s)
	quotes := (x | 0x04*ones) ^ '&'*ones // " and & differ in one bit
	others := (x | 0x62*ones) ^ '~'*ones // <, > and \ differ from ~ in these three at most
	return x | (x - 0x20*ones) | (quotes - ones) | (others - ones)
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
