package redact

import "strings"

// place says how a value stands next to its name: the closer, the surer.
type place uint8

const (
	loose  place = iota // in a sentence: "the token: abc123"
	line                // alone on the line with its name, as in YAML
	tight               // name=value
	quoted              // name = "value"
	strict              // a parameter of a URL, an element of XML, the argument of an option
)

// named looks for the value of the name from at to end and returns where to go on, or 0.
func (sc *scanner) named(at, end int) int {
	s := sc.s
	p := closing(s, end)
	q := skipBlank(s, p)
	if to := sc.quotedName(at, end, p); to > 0 {
		return to
	}
	if to := sc.quotedOption(at, p, q); to > 0 {
		return to
	}
	if q >= len(s) || strings.IndexByte("=:>,", s[q]) < 0 && !strings.HasPrefix(s[q:], "!=") && !strings.HasPrefix(s[q:], "<-") && !strings.HasPrefix(s[q:], "&gt;") && !elementAt(s, at, end) {
		if q < len(s) && at > 1 && (p > end && s[q]|0x20 == 'v' || (s[q] == '\n' || s[q] == '\r') && s[at-1] == ' ') {
			if k := sc.r.classify(s[at:end]); k != noSecret { // name="PASSWORD" value="x"
				return sc.pairValue(at, k, p)
			}
		}
		return sc.separate(at, end)
	}
	k, at := sc.phraseKind(at, end)
	if k == noSecret && s[q] == '=' && q == end && at > 0 && (s[at-1] == '?' || s[at-1] == '&') {
		k = parameterKind(s[at:end])
	}
	if k == noSecret {
		return 0
	}
	if k == token && sc.counted(at) {
		return 0
	}
	name := s[at:end]
	switch {
	case strings.HasPrefix(s[end:], "&gt;"): // escaped XML
		from := end + len("&gt;")
		if to := near(s, from, "&<\n"); strings.HasPrefix(s[to:], "&lt;/") && to > from && sc.accept(name, k, s[from:to], strict) {
			return sc.give(from, to, "field")
		}
		return 0
	case elementAt(s, at, end):
		return sc.element(name, k, end)
	case s[q] == '>' && p == end && q == p && q+1 < len(s) && s[q+1] == ' ' && lineStart(s, at): // a prompt
		if v := skipBlank(s, q+1); v < len(s) {
			if to := valueEnd(s, v); k == password && restBlank(s, to) && sc.spoken2(s[v:to]) {
				return sc.give(v, to, "assignment")
			}
		}
		return 0
	case s[q] == '>' && p > end && q+1 < len(s) && at > 6 && (s[at-6:at-1] == "name=" || s[at-5:at-1] == "key="): // <property name="password">x</property>
		if rest, ok := strings.CutPrefix(s[skipSpace(s, q+1):], "<value>"); ok {
			q = len(s) - len(rest) - 1
		}
		to := near(s, q+1, "<")
		if to > q+1 && strings.HasPrefix(s[to:], "</") && strings.TrimSpace(s[q+1:to]) != "" && sc.accept(name, k, s[q+1:to], strict) {
			return sc.give(q+1, to, "field")
		}
		return 0
	case s[q] == '>' || s[q] == ',':
		return sc.pairValue(at, k, q)
	}
	if to := sc.pairValue(at, k, p); to > 0 {
		return to
	}
	return sc.assigned(at, end, q, k)
}

// parameterKind is what names mean as parameters of a URL only.
func parameterKind(name string) kind {
	switch strings.ToLower(name) {
	case "signature", "hmac", "sign":
		return token
	case "code": // of OAuth; "code=404" is none
		return opaque
	}
	return noSecret
}

// assigned looks for a value after the separator at position q.
func (sc *scanner) assigned(at, end, q int, k kind) int {
	s := sc.s
	spaced := q > end && (s[q-1] == ' ' || s[q-1] == '\t')
	sign := s[q]
	q++
	if sign == ':' && q+1 < len(s) && s[q] == ':' && s[q+1] == ' ' && lineStart(s, at) { // base64 in LDIF
		q++
	}
	arrow := q < len(s) && (sign == '=' && s[q] == '>' || sign == '<')
	if arrow || q < len(s) && sign == ':' && s[q] == '=' {
		sign = '='
		q++
	} else if q < len(s) && (sign == '=' || sign == '!') && s[q] == '=' { // password == "x"
		if from, to, ok := quotedValue(s, skipBlank(s, q+1+b2i(q+1 < len(s) && s[q+1] == '='))); ok && k == password && sc.acceptLiteral(s[from:to], k) {
			return sc.give(from, to, "assignment")
		}
		return 0
	} else if sign == '!' || q < len(s) && (sign == '=' && s[q] == '~' || sign == ':' && (s[q] == ':' || strings.HasPrefix(s[q:], "//"))) {
		return 0
	}
	v := skipBlank(s, q)
	if arrow && v < len(s) && s[v] == '\n' { // of PHP, whose dump has the value in the next line
		if next := skipBlank(s, v+1); strings.HasPrefix(s[next:], "string(") {
			v = next
		}
	}
	if v >= len(s) {
		return 0
	}
	if next := typed(s, v); next > 0 { // password: string = "x"
		if sign, v = '=', skipBlank(s, next); v >= len(s) {
			return 0
		}
	}
	if k == header && !strings.ContainsAny(s[q:v], "\n") {
		return sc.headerValue(at, v)
	}
	if sign == ':' && lineStart(s, at) || strings.IndexByte("SOJ([{s<bBn", s[v]) >= 0 && (sign == ':' || s[v] != '[' && s[v] != '{' || strings.HasPrefix(s[v:], "[]byte(")) {
		if v = wrapped(s, v); v >= len(s) {
			return 0
		}
	}
	close := v == q && !spaced
	if from, to, ok := quotedValue(s, v); ok {
		return sc.assignedQuoted(s[at:end], k, v, from, to, sign == '=' && close)
	}
	if strings.IndexByte("\r\n|>", s[v]) >= 0 {
		return sc.block(at, end, v, k)
	}
	if to := sc.gotWant(v, k); to > 0 && sign == ':' {
		return to
	}
	before := byte(0)
	if at > 0 {
		before = s[at-1]
	}
	switch {
	case sign == '=' && close && (before == '?' || before == '&' || before == ';' && !strings.ContainsAny(s[max(0, at-2):at], " ")):
		return sc.parameter(s[at:end], k, v, before)
	case sign == ':' && close:
		return sc.formatted(at, end, v, k)
	}
	return sc.assignedBare(at, end, v, k, sign, close, arrow)
}

// assignedQuoted looks at the value in quotes from from to to. close says that only "=" is between it
// and its name, as in the argument token='x'.
func (sc *scanner) assignedQuoted(name string, k kind, v, from, to int, close bool) int {
	s := sc.s
	x := s[from:to]
	argument := k == token && close && len(x) >= 6 && hasLetter(x) && strings.ToUpper(x) != x && sc.spoken(x)
	if !argument && !sc.accept(name, k, x, quoted) {
		return 0
	}
	if v > 0 && s[v-1] == '[' { // a list
		args, _ := sc.callArgs(v)
		for _, a := range args {
			if a.to > 0 && sc.accept(name, k, s[a.from:a.to], quoted) {
				sc.later(a.from, a.to, "assignment")
			}
		}
	}
	return sc.alike(sc.give(from, to, "assignment"))
}

// gotWant looks at "password: got x, want y".
func (sc *scanner) gotWant(v int, k kind) int {
	s := sc.s
	for _, w := range []string{"got ", "want ", "expected "} {
		if k == password && strings.HasPrefix(s[v:], w) {
			from, to := v+len(w), valueEnd(s, v+len(w))
			if sc.spoken2(s[from:to]) && to < len(s) && s[to] == ',' {
				return sc.alike(sc.give(from, to, "assignment"))
			}
		}
	}
	return 0
}

// parameter looks at a parameter of a URL or of a connection string.
func (sc *scanner) parameter(name string, k kind, v int, before byte) int {
	s := sc.s
	to := v
	for to < len(s) && to < v+judged && strings.IndexByte("&#; \t\r\n\"'<>`\\", s[to]) < 0 {
		to++
	}
	if before == ';' {
		if to = near(s, v, ";\r\n\"'<>`"); s[v] == '{' && s[to-1] == '}' && to-v > 2 { // PWD={x} of ODBC
			v, to = v+1, to-1
		}
	}
	if to == v || !sc.accept(name, k, s[v:to], strict) {
		return 0
	}
	return sc.give(v, to, "field")
}

// assignedBare looks at a value without quotes.
func (sc *scanner) assignedBare(at, end, v int, k kind, sign byte, close, arrow bool) int {
	s := sc.s
	name := s[at:end]
	before := byte(0)
	if at > 0 {
		before = s[at-1]
	}
	to := valueEnd(s, v)
	where := loose
	switch {
	case sign == '=' && close && name[0] == '-' && (k == token || k == key):
		where = strict // -token=x
		if isWord(s[v:to]) || isCode(s[v:to]) || !hasLetter(s[v:to]) {
			return 0
		}
	case sign == '=' && close:
		where = tight
		if semi := strings.IndexByte(s[to:min(len(s), to+100)], ';'); before == '"' || semi == 0 || semi > 0 && nextSetting(s, to+semi+1) && strings.IndexByte(s[to:to+semi], '=') < 0 {
			// A connection string: its values may hold spaces.
			to = max(to, near(s, v, ";\r\n\"'<>`"))
		}
	case restBlank(s, to) && (lineStart(s, at) || arrow || k == password && sc.labelled(at) && sc.spoken2(s[v:to])),
		k == password && afterAny(strings.ToLower(s[max(0, at-16):at]), "want ", "got ", "expected ", "actual ", "have "),
		(before == '\'' || before == '"') && to < len(s) && s[to] == before && strings.Contains(name, "-"), // -H 'X-Api-Key: x'
		k == password && sign == '=' && sc.inRecord(at, to),
		k == password && sign == ':' && (at > 0 && sc.listed(at, to) || strings.HasPrefix(s[to:], ", ") && nextField(s, to+2)):
		where = line
	}
	if eol := phraseEnd(s, at, v, to, name); eol > to {
		to, where = eol, line
	}
	if sign == '=' && k == password && to < len(s) && s[to] == ';' && nextSetting(s, to+1) && strings.IndexByte(s[v:to], '(') < 0 {
		where = strict // Password = a.b;User = c
	}
	if !sc.accept(name, k, s[v:to], where) {
		return 0
	}
	return sc.alike(sc.give(v, to, "assignment"))
}

// inRecord reports whether a value stands in the braces of a record: { User = bob, Password = x }.
func (sc *scanner) inRecord(at, to int) bool {
	s := sc.s
	if at < 2 || !strings.HasSuffix(s[:at], ", ") && !strings.HasSuffix(s[:at], "{ ") || !strings.HasPrefix(s[to:], " }") && !strings.HasPrefix(s[to:], ", ") {
		return false
	}
	before := s[max(0, at-lookBehind):at]
	return strings.LastIndexByte(before, '{') > strings.LastIndexByte(before, '}')
}

// labelled reports whether at most three words and no colon stand before position at in its line.
func (sc *scanner) labelled(at int) bool {
	before := sc.s[max(0, at-48):at]
	before = before[strings.LastIndexByte(before, '\n')+1:]
	return len(before) < 48 && strings.Count(before, " ") <= 3 && !strings.ContainsAny(before, ":={(")
}

// nextField reports whether another "name: " begins at position at.
func nextField(s string, at int) bool {
	n := at
	for n < len(s) && n < at+32 && inName[s[n]] {
		n++
	}
	return n > at && n < len(s) && s[n] == ':'
}

// nextSetting reports whether another setting of a connection string begins at position at.
func nextSetting(s string, at int) bool {
	n := at
	for n < len(s) && n < at+32 && (inName[s[n]] || s[n] == ' ') {
		n++
	}
	return n > at+1 && n+1 < len(s) && s[n] == '=' && s[n+1] != '='
}

// formatted looks for a value directly after a colon, as Go prints structs and maps:
// {Password:x Token:y}, map[password:x].
func (sc *scanner) formatted(at, end, v int, k kind) int {
	s := sc.s
	inside := strings.LastIndexAny(s[max(0, at-lookBehind):at], "{[\n")
	inside += max(0, at-lookBehind)
	braces := inside >= 0 && inside < at && (s[inside] == '{' || s[inside] == '[')
	to := valueEnd(s, v)
	where := loose
	if braces && at > 0 && (s[at-1] == '{' || s[at-1] == '[' || s[at-1] == ' ' || s[at-1] == ',') {
		where = tight
		to = fieldEnd(s, v)
	} else if lineStart(s, at) && (restBlank(s, to) || k == password && strings.HasPrefix(s[to:], ", ") && nextField(s, to+2)) {
		where = line
	} else if at > 0 && s[at-1] == '/' && (at == 1 || s[at-2] == ' ') {
		where = tight // an option of Windows: /password:x
	}
	if to <= v || !sc.accept(s[at:end], k, s[v:to], where) {
		return 0
	}
	return sc.give(v, to, "assignment")
}

// counted reports whether the word before position at makes a token a word of a text: "next
// token = page2", "unexpected token: x".
func (sc *scanner) counted(at int) bool {
	s := sc.s
	e := at
	for e > 0 && at-e < 4 && (s[e-1] == ' ' || s[e-1] == '"' || s[e-1] == '\'') {
		e--
	}
	b := e
	for b > 0 && e-b < 20 && isLetter(s[b-1]) {
		b--
	}
	return e < at && b < e && counters[strings.ToLower(s[b:e])]
}

// typed is the position after `string =`, where a declaration has a type.
func typed(s string, at int) int {
	for _, t := range []string{"string", "String", "str", "&str", "std::string"} {
		if rest, ok := strings.CutPrefix(s[at:], t); ok && rest != "" && (rest[0] == ' ' || rest[0] == '=') {
			if eq := skipBlank(rest, 0); eq < len(rest) && rest[eq] == '=' && !strings.HasPrefix(rest[eq:], "==") {
				return len(s) - len(rest) + eq + 1
			}
		}
	}
	return 0
}
