package redact

import "strings"

// closing is the position after the quote that closes a name, if there is one.
func closing(s string, at int) int {
	p := at
	for p < len(s) && p < at+8 && s[p] == '\\' {
		p++
	}
	switch {
	case p < len(s) && (s[p] == '"' || s[p] == '\'' || s[p] == '`'):
		p++
	case strings.HasPrefix(s[p:], "&quot;"):
		p += len("&quot;")
	case strings.HasPrefix(s[p:], "&#34;"):
		p += len("&#34;")
	default:
		p = at
	}
	if p < len(s) && s[p] == ']' {
		p++
	} else if strings.HasPrefix(s[p:], "[] ") { // of C
		p += 2
	}
	return p
}

// skipBlank skips up to 32 spaces and tabs.
func skipBlank(s string, at int) int {
	p := at
	for p < len(s) && p < at+32 && (s[p] == ' ' || s[p] == '\t') {
		p++
	}
	return p
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// near is upTo, at most as far as a value is judged by.
func near(s string, at int, chars string) int { return upTo(s[:min(len(s), at+judged)], at, chars) }

// upTo is the position of the first of chars at or after position at, or the end of s.
func upTo(s string, at int, chars string) int {
	if i := strings.IndexAny(s[at:], chars); i >= 0 {
		return at + i
	}
	return len(s)
}

// quotedValue is the inside of the quotes that begin at position at. Escaped quotes end where
// as many backslashes stand before the same quote.
func quotedValue(s string, at int) (from, to int, ok bool) {
	if at < len(s) && at+1 < len(s) && strings.IndexByte("bruf@[(NLU", s[at]) >= 0 && strings.IndexByte("\"'", s[at+1]) >= 0 {
		at++
	}
	p := at
	for p < len(s) && p < at+8 && s[p] == '\\' {
		p++
	}
	for _, entity := range []string{"&quot;", "&#34;", "&apos;", "&#39;"} {
		if strings.HasPrefix(s[p:], entity) {
			from = p + len(entity)
			if i := strings.Index(s[from:min(len(s), from+lookBehind)], entity); i > 0 {
				return from, from + i, true
			}
			return 0, 0, false
		}
	}
	if p >= len(s) || s[p] != '"' && s[p] != '\'' && s[p] != '`' {
		return 0, 0, false
	}
	mark, slashes := s[p], p-at
	from = p + 1
	for to = from; to < len(s) && to < from+lookAhead; to++ {
		switch c := s[to]; {
		case c == '\n' && mark != '`':
			return 0, 0, false
		case c == '\\' && slashes == 0 && (mark == '"' || mark == '\'' && to+2 < len(s) && s[to+1] == mark && isLetter(s[to+2])):
			to++
		case c == mark && slashes == 0:
			return from, to, to > from
		case c == '\\' && slashes > 0:
			n := to
			for n < len(s) && s[n] == '\\' {
				n++
			}
			if n < len(s) && s[n] == mark && n-to <= slashes {
				return from, to, to > from
			}
			to = n
		}
	}
	return 0, 0, false
}

// valueEnd is the end of a value without quotes.
func valueEnd(s string, at int) int {
	to := at
	for ; to < len(s); to++ {
		if to == at+judged {
			return to
		}
		c := s[to]
		if c <= ' ' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '`' || c == '\\' && to+1 < len(s) && strings.IndexByte(`nrt"'`, s[to+1]) >= 0 {
			break
		}
		if c == '&' || c == ',' || c == ';' {
			n := to + 1
			for n < len(s) && n < to+40 && (inName[s[n]] || c == ';' && s[n] == ' ' && n > to+1) {
				n++
			}
			if n == to+1 || n < len(s) && (s[n] == '=' || s[n] == ':') {
				break
			}
		}
		if c == '[' && to > at {
			if n := markerEnd(s[to:]); n > 0 {
				to += n - 1
			}
		}
	}
	for to > at && strings.IndexByte(".,:;", s[to-1]) >= 0 {
		to--
	}
	if to > at && strings.IndexByte(")}]", s[to-1]) >= 0 && !strings.ContainsAny(s[at:to], "({[") {
		to--
	}
	return to
}

// fieldEnd is the end of a value that Go printed: the next field, or the end of the struct.
func fieldEnd(s string, v int) int {
	if n := markerEnd(s[v:]); n > 0 {
		return v + n
	}
	for to := v; to < len(s) && to < v+lookBehind; to++ {
		switch s[to] {
		case '}', ']', '\n', '\r', '"':
			return to
		case ',':
			if to+1 < len(s) && (s[to+1] == ' ' || inName[s[to+1]]) {
				return to
			}
		case ' ':
			n := to + 1
			for n < len(s) && n < to+longestName && inName[s[n]] {
				n++
			}
			if n > to+1 && n < len(s) && s[n] == ':' {
				return to
			}
		}
	}
	return valueEnd(s, v)
}

// lineStart reports whether nothing but indentation, a list mark, a quote or "export" stands before
// position at in its line.
func lineStart(s string, at int) bool {
	n := at
	for n > 0 && at-n < 64 && (s[n-1] == ' ' || s[n-1] == '\t' || s[n-1] == '"' || s[n-1] == '\'' || s[n-1] == '-' || s[n-1] == '+') {
		n--
	}
	if n == 0 || s[n-1] == '\n' || s[n-1] == '\r' {
		return true
	}
	for _, word := range []string{"export", "set", "ENV", "ARG", "setx"} {
		if b := n - len(word); b >= 0 && s[b:n] == word && (b == 0 || s[b-1] == '\n') {
			return true
		}
	}
	return false
}

// restBlank reports whether nothing but a comment follows in the line.
func restBlank(s string, at int) bool {
	for at < len(s) && strings.IndexByte(" \t,;\"'", s[at]) >= 0 {
		at++
	}
	return at == len(s) || s[at] == '\n' || s[at] == '\r' || s[at] == '#' || s[at] == '}' || strings.HasPrefix(s[at:], `\n`)
}
