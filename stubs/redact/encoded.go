package redact

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"
)

// find finds what is secret in a text of any kind: JSON, lines of JSON, the data lines of an
// event stream, or a plain text. The spans are in order and do not overlap.
func (r *Redactor) find(s string, l layer) []span {
	if strings.Contains(s, "\x1b[") {
		plain, at := withoutColors(s)
		r.work.add(len(s))
		found := r.find(plain, l)
		for i, p := range found {
			found[i].from, found[i].to = at[p.from], at[p.to]
			if p.to > p.from {
				found[i].to = at[p.to-1] + 1
			}
		}
		return found
	}
	if l.depth > mostDepth {
		if isContainer(s) && r.container(s) {
			return []span{{0, len(s), "[redacted:nested]"}}
		}
		return r.leaf(s, l)
	}
	if r.container(s) {
		return r.document(s, l)
	}
	if !strings.ContainsAny(s, "{[") {
		return r.leaf(s, l)
	}
	var found []span
	done, at := 0, 0 // what was looked at; where the line begins
	for line := range strings.Lines(s) {
		begin := at
		at += len(line)
		data := strings.TrimPrefix(line, "data:")
		if !r.container(data) {
			continue
		}
		found = append(found, shifted(r.leaf(s[done:begin], l), done)...)
		found = append(found, shifted(r.document(data, l), at-len(data))...)
		done = at
	}
	return append(found, shifted(r.leaf(s[done:], l), done)...)
}

// withoutColors takes out what turns colours of a terminal on and off: a value may begin with
// it, and names end with it. at has the position in s of each byte, and the end.
func withoutColors(s string) (plain string, at []int) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], "\x1b[") {
			end := i + 2
			for end < len(s) && end < i+32 && (isDigit(s[end]) || s[end] == ';' || s[end] == ':' || s[end] == '?') {
				end++
			}
			if end < len(s) && isLetter(s[end]) {
				i = end
				continue
			}
		}
		if s[i] == '\x1b' { // that of no sequence: find looks for them no more
			out, at = append(out, '\x00'), append(at, i)
			continue
		}
		out, at = append(out, s[i]), append(at, i)
	}
	return string(out), append(at, len(s))
}

func shifted(spans []span, by int) []span {
	for i := range spans {
		spans[i].from += by
		spans[i].to += by
	}
	return spans
}

// leaf finds what is secret in a text that is no JSON.
func (r *Redactor) leaf(s string, l layer) []span {
	if len(s) == 0 {
		return nil
	}
	found := r.scan(s, l)
	if r.rule != nil {
		clean := cut(s, 0, len(s), found)
		if t := r.rule(clean); t != clean {
			return []span{{0, len(s), t}}
		}
	}
	return found
}

// runs looks at everything that could be base64 or random: found must be in order.
func (r *Redactor) runs(s string, l layer, found []span) (more []span) {
	r.work.add(len(s))
	next := 0 // of found
	for at := 0; at < len(s); at++ {
		for next < len(found) && found[next].to <= at {
			next++
		}
		if next < len(found) && found[next].from <= at {
			at = found[next].to - 1
			continue
		}
		if !inRun[s[at]] {
			continue
		}
		end := at
		for end < len(s) && inRun[s[end]] {
			end++
		}
		if end-at >= 16 {
			more = append(more, r.run(s, at, end, l)...)
		}
		at = end
	}
	return more
}

// run looks at one run of the characters of base64.
func (r *Redactor) run(s string, from, to int, l layer) (found []span) {
	std := strings.ContainsAny(s[from:to], "+/")
	for at := from; at < to; { // pieces of one alphabet
		end := at
		for end < to && !(std && (s[end] == '-' || s[end] == '_')) {
			end++
		}
		padded := end
		for padded < len(s) && padded < end+2 && s[padded] == '=' {
			padded++
		}
		if end-at >= 16 {
			found = append(found, r.base64(s, at, padded, l)...)
		}
		at = max(end, at+1)
		if at < to && (s[at] == '-' || s[at] == '_') {
			at++
		}
	}
	if len(found) == 0 && !l.plain && to-from >= 24 && to-from <= randomMost && !isDigestAt(s, from) && !r.plainBefore(s, from) {
		padded := to
		for padded < len(s) && padded < to+2 && s[padded] == '=' {
			padded++
		}
		r.work.add(to - from)
		if isRandom(s[from:padded]) && !isPublicKey(s[from:]) {
			found = append(found, span{from, padded, "[redacted:entropy]"})
		}
	}
	return found
}

// base64 redacts a text within base64, such as a []byte of a Go struct. It stays base64, for
// the type it is decoded into. Each run is decoded once, so what is nested shrinks by a
// quarter each time.
func (r *Redactor) base64(s string, from, to int, l layer) []span {
	data, enc := base64Text(s[from:to])
	if enc == nil {
		return nil
	}
	r.work.add(2 * (to - from))
	if l.depth >= mostDepth {
		return []span{{from, to, "[redacted:nested]"}}
	}
	found := r.find(data, l.within())
	if len(found) == 0 {
		return nil
	}
	clean := cut(data, 0, len(data), found)
	if clean == data {
		return nil
	}
	return []span{{from, to, enc.EncodeToString([]byte(clean))}}
}

// base64Text decodes base64 whose content is text. Its first bytes are tried before the rest,
// since most words are in the alphabet.
func base64Text(s string) (string, *base64.Encoding) {
	enc := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.RawURLEncoding
	}
	raw := strings.TrimRight(s, "=")
	if len(raw) < 16 || len(s) != len(raw) && len(s)%4 != 0 {
		return "", nil
	}
	var first [12]byte
	if n, err := enc.Decode(first[:], []byte(raw[:16])); err != nil || !isText(first[:n], true) {
		return "", nil
	}
	data, err := enc.DecodeString(raw)
	if err != nil || !isText(data, false) {
		return "", nil
	}
	if len(s)%4 == 0 { // padded, or in need of none
		if enc == base64.RawURLEncoding {
			return string(data), base64.URLEncoding
		}
		return string(data), base64.StdEncoding
	}
	return string(data), enc
}

// isText reports whether data is UTF-8 without control characters. cut says that its last
// character may be incomplete.
func isText(data []byte, cut bool) bool {
	for i := 0; i < len(data); {
		c := data[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		u, n := utf8.DecodeRune(data[i:])
		if u == utf8.RuneError && n == 1 {
			return cut && !utf8.FullRune(data[i:])
		}
		i += n
	}
	return true
}

// percent finds secrets in what is percent-encoded. The encoding of what is not secret stays.
func (r *Redactor) percent(s string, l layer) (found []span) {
	if strings.IndexByte(s, '%') < 0 {
		return nil
	}
	r.work.add(len(s))
	for at := 0; at < len(s); at++ {
		if isBreak(s[at]) {
			continue
		}
		end, escapes := at, 0
		for end < len(s) && !isBreak(s[end]) {
			if isEscape(s, end) {
				escapes++
			}
			end++
		}
		if escapes > 0 {
			found = append(found, r.unescaped(s, at, end, l)...)
		}
		at = end
	}
	return found
}

func isBreak(c byte) bool {
	return c <= ' ' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '`'
}

func isEscape(s string, at int) bool {
	return s[at] == '%' && at+2 < len(s) && isHex(s[at+1]) && isHex(s[at+2])
}

// unescaped looks at one percent-encoded run. Positions are mapped back to it.
func (r *Redactor) unescaped(s string, from, to int, l layer) (found []span) {
	data, places := make([]byte, 0, to-from), make([]int, 0, to-from+1)
	for at := from; at < to; at++ {
		places = append(places, at)
		if isEscape(s[:to], at) {
			data = append(data, unhex(s[at+1])<<4|unhex(s[at+2]))
			at += 2
		} else {
			data = append(data, s[at])
		}
	}
	places = append(places, to)
	if !isText(data, false) {
		return nil
	}
	r.work.add(to - from)
	if l.depth >= mostDepth {
		return []span{{from, to, "[redacted:nested]"}}
	}
	inner := l.within()
	inner.plain = true // what is random was seen outside
	for _, p := range r.find(string(data), inner) {
		with := p.with
		if !IsMarker(with) {
			with = url.QueryEscape(with)
		}
		found = append(found, span{places[p.from], places[p.to], with})
	}
	return found
}

func unhex(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

func isHex(c byte) bool      { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }
func isDigit(c byte) bool    { return '0' <= c && c <= '9' }
func isLower(c byte) bool    { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool    { return 'A' <= c && c <= 'Z' }
func isLetter(c byte) bool   { return isLower(c|0x20) && c < utf8.RuneSelf }
func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }
func hasLetter(s string) bool {
	for i := range len(s) {
		if isLetter(s[i]) {
			return true
		}
	}
	return false
}

// inRun are the characters of both alphabets of base64.
var inRun = func() (in [256]bool) {
	for c := range in {
		in[c] = isLetter(byte(c)) || isDigit(byte(c)) || strings.IndexByte("+/-_", byte(c)) >= 0
	}
	return in
}()

// plainBefore reports whether the run at position at is the value of a name whose values look random
// and are no secrets: "nextPageToken": "…", etag=….
func (r *Redactor) plainBefore(s string, at int) bool {
	end := at
	for end > 0 && at-end < 8 && strings.IndexByte("\"'\\:= ", s[end-1]) >= 0 {
		end--
	}
	begin := end
	for begin > 0 && end-begin < longestName && inName[s[begin-1]] {
		begin--
	}
	r.work.add(at - begin)
	return begin < end && end < at && strings.ContainsAny(s[end:at], ":=") && plainLabels[fold(s[begin:end])]
}

// isDigestAt reports whether what begins at position at is a digest by its label: h1: of
// go.sum, sha512- of a lock file, sha256: of an image.
func isDigestAt(s string, at int) bool {
	if rest := s[at:]; strings.HasPrefix(rest, "sha") && len(rest) > 7 && (rest[4] == '-' || rest[6] == '-') {
		return true
	}
	before := s[max(0, at-12):at]
	for _, label := range []string{"h1:", "sha1:", "sha256:", "sha384:", "sha512:", "sha1=", "sha256=", "md5:", "SHA256:", "MD5:", "MD5: ", `W/"`, `nonce="`, "ublic key ", "ublic key: ", "ublicKey = ", "ublicKey: "} {
		if strings.HasSuffix(before, label) {
			return true
		}
	}
	return false
}
