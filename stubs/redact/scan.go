package redact

import (
	"strings"
	"unicode/utf8"
)

// scanner goes through one plain text from front to back, word by word. It never looks back
// more than a bounded number of bytes, and what it looked ahead at is either redacted and
// skipped, or bounded too: its work is proportional to the length of the text.
type scanner struct {
	r     *Redactor
	s     string
	layer layer
	found []span
	ahead []span // in what the scan has not reached yet, in any order
	login int    // where the last "login" or "machine" of a .netrc was, or -1

	blockEnd int // end of the block of YAML that was looked at last
}

const (
	lookBehind = 160  // bytes in which the program of an option is looked for
	lookAhead  = 8192 // bytes in which the end of a quoted value is looked for
	judged     = 512  // bytes of a value without quotes that decide whether it is a secret
)

// inName are the characters of names and tokens: other alphabets count as letters.
var inName = func() (in [256]bool) {
	for c := range in {
		in[c] = isLetter(byte(c)) || isDigit(byte(c)) || c == '_' || c == '-' || c == '.' || c >= utf8.RuneSelf
	}
	return in
}()

// scan finds what is secret in a text by its form, its name, or what is known.
func (r *Redactor) scan(s string, l layer) []span {
	r.work.add(len(s))
	sc := scanner{r: r, s: s, layer: l, login: -1}
	for at := 0; at < len(s); {
		switch {
		case inName[s[at]]:
			end := at + 1
			for end < len(s) && inName[s[end]] {
				end++
			}
			at = sc.word(at, end)
		case s[at] == ':' && strings.HasPrefix(s[at:], "://"):
			at = max(at+3, sc.address(at+3))
		case s[at] == '$' || s[at] == '{':
			if end := cryptEnd(s, at); end > 0 {
				at = sc.add(at, end, "hash")
			} else {
				at++
			}
		case s[at] == '<' && strings.HasPrefix(s[at:], "<<<"):
			sc.hereString(at)
			at += 3
		case (s[at] == '|' || s[at] == '?') && at+1 < len(s) && strings.IndexByte("|?:= ", s[at+1]) >= 0:
			sc.fallback(at)
			at++
		case s[at] == '*' && strings.HasPrefix(s[at:], "*:*:*:"):
			at = max(at+6, sc.userColon(at+6))
		case s[at] == '[':
			at += max(1, markerEnd(s[at:]))
		default:
			at++
		}
	}
	sc.rows()
	found := sc.found
	if len(sc.ahead) > 0 {
		found = disjoint(append(found, sc.ahead...))
	}
	more := r.runs(s, l, found)
	more = append(more, r.percent(s, l)...)
	more = append(more, r.repeated(s)...)
	if len(more) == 0 {
		return notInMarkers(s, found) // in order, and disjoint
	}
	return notInMarkers(s, disjoint(append(found, more...)))
}

// notInMarkers drops what is part of a marker: what was redacted stays.
func notInMarkers(s string, found []span) []span {
	if !strings.Contains(s, "[redacted") {
		return found
	}
	marks := markers.FindAllStringIndex(s, -1)
	out := found[:0]
	next := 0
	for _, p := range found {
		for next < len(marks) && marks[next][1] <= p.from {
			next++
		}
		if next < len(marks) {
			m := marks[next]
			if m[0] < p.from || m[0] == p.from && m[1] >= p.to {
				continue
			}
			for _, m := range marks[next:] { // never leave a part of a marker: it would be found again, and grow
				if m[0] >= p.to {
					break
				}
				p.to = max(p.to, m[1])
			}
		}
		out = append(out, p)
	}
	return out
}

// valueStops end a value without quotes.
const valueStops = " \t\r\n\"'<>`"

// add marks a part of the text as secret and returns where to go on.
func (sc *scanner) add(from, to int, rule string) int {
	if to <= from {
		return to
	}
	if markerEnd(sc.s[from:]) == to-from {
		return to
	}
	sc.found = append(sc.found, span{from, to, "[redacted:" + rule + "]"})
	return to
}

// later is give for a value in what the scan has not reached yet, and which is therefore scanned too.
func (sc *scanner) later(from, to int, rule string) {
	if to <= from || markerEnd(sc.s[from:]) == to-from {
		return
	}
	sc.r.learn(sc.s[from:to])
	sc.ahead = append(sc.ahead, span{from, to, "[redacted:" + rule + "]"})
}

// give is add for a value that is looked for elsewhere from now on.
func (sc *scanner) give(from, to int, rule string) int {
	if to-from == judged {
		to = upTo(sc.s, to, valueStops)
	}
	if from < to && markerEnd(sc.s[from:]) != to-from {
		sc.r.learn(sc.s[from:to])
	}
	return sc.add(from, to, rule)
}

// word looks at one word of the text and returns where to go on.
func (sc *scanner) word(at, end int) int {
	s := sc.s
	w := s[at:end]
	if len(w) >= 2 && w[len(w)-1] == 'N' && strings.HasSuffix(w, "-----BEGIN") || w == "----" {
		if to := pemEnd(s, end); to > 0 {
			return sc.add(end-len("-----BEGIN")*b2i(w != "----")-4*b2i(w == "----"), to, "private-key")
		}
	}
	if to := sc.token(at, end); to > 0 {
		return to
	}
	if end == len(s) && strings.EqualFold(w, "code") {
		sc.codeBefore(at)
	}
	if end == len(s) || strings.IndexByte("\"'.,", s[end]) >= 0 {
		if k := sc.r.classify(w); k != noSecret && at > 6 && afterAny(s[max(0, at-8):at], " is the ", " as ", " as the ", " is your ", " is my ") {
			sc.precedes(at, k)
		}
	}
	if end == len(s) {
		return end
	}
	sc.context(at, end)
	switch c := s[end]; {
	case c == ':' && strings.HasPrefix(s[end:], "://"):
		return max(end+3, sc.address(end+3))
	case c == ' ' || c == '\t' || c == ':' || c == '=':
		if to := sc.keyword(at, end); to > 0 {
			return to
		}
	}
	if to := sc.several(at, end); to > 0 {
		return to
	}
	if to := sc.named(at, end); to > 0 {
		return to
	}
	if to := sc.told(at, end); to > 0 {
		return to
	}
	return end
}

// context looks at words that make secrets of what follows at some distance.
func (sc *scanner) context(at, end int) {
	switch sc.s[end] {
	case '(':
		sc.call(at, end)
		sc.digested(at, end)
	case ':':
		sc.yamlBlock(at, end)
		sc.workflow(at, end)
	case '/':
		if pass, _, ok := strings.Cut(sc.s[end+1:near(sc.s, end+1, " \t\r\n\"'")], "@//"); ok && pass != "" && !IsMarker(pass) {
			sc.later(end+1, end+1+len(pass), "url-password") // of Oracle
		}
	case '=':
		if strings.HasPrefix(sc.s[end:], "=(") && tupleNames[strings.ToLower(sc.s[at:end])] {
			sc.tuple(end + 2)
		}
	case ' ', '\t':
		sc.command(at, end)
		sc.declared(at, end)
		sc.insert(at, end)
		sc.tag(at, end)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// token finds what gives itself away, at the beginning of the word or of one of its parts.
func (sc *scanner) token(at, end int) int {
	s := sc.s
	if end-at < 4 {
		return 0
	}
	starts := 0
	for i := at; i < end && starts < 8; i++ {
		if i > at && (isLetter(s[i-1]) || isDigit(s[i-1])) && !(i == at+1 && at > 0 && s[at-1] == '\\') {
			continue
		}
		starts++
		if to, rule := byForm(s, i); to > 0 {
			return sc.add(i, to, rule)
		}
	}
	if to := byStructure(s, at, end); to > 0 {
		return sc.add(at, to, "api-key")
	}
	return 0
}

// pemEnd is the end of the private key after whose "BEGIN", or whose dashes, position at is; or 0. A
// key that is cut off ends with the text.
func pemEnd(s string, at int) int {
	head := s[at:min(len(s), at+80)]
	head = strings.TrimPrefix(head, " BEGIN")
	label, _, ok := strings.Cut(head, "----")
	if !ok || !isKeyLabel(label) || strings.Trim(label, " "+alphanumeric) != "" {
		return 0
	}
	rest := s[at:]
	for skip := 0; ; {
		i := strings.Index(rest[skip:], "END")
		if i < 0 {
			return len(s)
		}
		i += skip
		if tail := rest[i+3 : min(len(rest), i+3+80)]; strings.HasSuffix(strings.TrimRight(rest[:i], " "), "----") && isKeyLabel(tail) {
			if dashes := strings.Index(tail, "----"); dashes >= 0 {
				to := at + i + 3 + dashes
				for to < len(s) && s[to] == '-' {
					to++
				}
				return to
			}
		}
		skip = i + 3
	}
}

func isKeyLabel(label string) bool {
	return strings.Contains(label, "PRIVATE KEY") || strings.Contains(label, "Static key")
}

func formAt(s string, at int) bool {
	to, _ := byForm(s, at)
	return to > 0
}

// address looks for a password in the URL whose user or host begins at position at.
func (sc *scanner) address(at int) int {
	s := sc.s
	end, sign := at, -1
	for end < len(s) && end < at+judged && strings.IndexByte("/?# \t\r\n\"'<>`\\", s[end]) < 0 {
		if s[end] == '@' {
			sign = end
		}
		end++
	}
	sc.r.work.add(end - at)
	if sign < 0 {
		return 0
	}
	user, pass, ok := strings.Cut(s[at:sign], ":")
	if n := markerEnd(user + ":" + pass); ok && n > 0 { // the user was redacted
		return at + n
	}
	switch {
	case ok && pass != "" && !isPlaceholder(pass) && markerEnd(pass) != len(pass):
		return sc.give(sign-len(pass), sign, "url-password")
	case !ok && formAt(s, at):
		return 0
	case !ok && len(user) >= 20 && hasDigit(user) && hasLetter(user) && !wordy(user): // https://TOKEN@host
		return sc.give(at, sign, "url-password")
	}
	return sign + 1
}
