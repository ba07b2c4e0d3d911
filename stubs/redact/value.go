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
	if q >= len(s) || strings.IndexByte("=:>,", s[q]) < 0 && !strings.HasPrefix(s[q:], "!=") && !strings.HasPrefix(s[q:], "<-") && !elementAt(s, at, end) {
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
	case "signature":
		return token
	case "code": // of OAuth; "code=404" is none
		return opaque
	}
	return noSecret
}

// assigned looks for a value after the separator at position q.
func (sc *scanner) assigned(at, end, q int, k kind) int {
	s := sc.s
	name := s[at:end]
	spaced := q > end && (s[q-1] == ' ' || s[q-1] == '\t')
	sign := s[q]
	q++
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
	if v >= len(s) {
		return 0
	}
	if next := typed(s, v); next > 0 { // password: string = "x"
		sign, v = '=', skipBlank(s, next)
	}
	if k == header && !strings.ContainsAny(s[q:v], "\n") {
		return sc.headerValue(at, v)
	}
	if sign == ':' && (lineStart(s, at) || strings.IndexByte("S([{", s[v]) >= 0) || s[v] == 's' {
		v = wrapped(s, v)
	}
	if from, to, ok := quotedValue(s, v); ok {
		keyword := k == token && sign == '=' && v == q && !spaced && to-from >= 6 && hasLetter(s[from:to]) && strings.ToUpper(s[from:to]) != s[from:to] && sc.spoken(s[from:to]) // token='x'
		if !keyword && !sc.accept(name, k, s[from:to], quoted) {
			return 0
		}
		return sc.alike(sc.give(from, to, "assignment"))
	}
	if strings.IndexByte("\r\n|>", s[v]) >= 0 {
		return sc.block(at, end, v, k)
	}
	if k == password && sign == ':' { // Password: got x, want y
		for _, w := range []string{"got ", "want ", "expected "} {
			if strings.HasPrefix(s[v:], w) {
				if from, to := v+len(w), valueEnd(s, v+len(w)); sc.spoken2(s[from:to]) && to < len(s) && s[to] == ',' {
					return sc.alike(sc.give(from, to, "assignment"))
				}
			}
		}
	}
	before := byte(0)
	if at > 0 {
		before = s[at-1]
	}
	switch {
	case sign == '=' && !spaced && v == q && (before == '?' || before == '&' || before == ';' && !strings.ContainsAny(s[max(0, at-2):at], " ")):
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
	case sign == ':' && v == q && !spaced:
		return sc.formatted(at, end, v, k)
	}
	to := valueEnd(s, v)
	where := loose
	alone := lineStart(s, at)
	switch {
	case sign == '=' && v == q && !spaced && name[0] == '-' && (k == token || k == key):
		where = strict // -token=x
		if isWord(s[v:to]) || isCode(s[v:to]) || !hasLetter(s[v:to]) {
			return 0
		}
	case sign == '=' && v == q && !spaced:
		where = tight
		if semi := strings.IndexByte(s[to:min(len(s), to+100)], ';'); before == '"' || semi == 0 {
			// A connection string: its values may hold spaces.
			to = max(to, near(s, v, ";\r\n\"'<>`"))
		}
	case alone && restBlank(s, to), arrow && restBlank(s, to), k == password && restBlank(s, to) && sc.labelled(at) && sc.spoken2(s[v:to]):
		where = line
	case k == password && afterAny(strings.ToLower(s[max(0, at-16):at]), "want ", "got ", "expected ", "actual ", "have "):
		where = line
	case (before == '\'' || before == '"') && to < len(s) && s[to] == before && strings.Contains(name, "-"):
		where = line // an option that holds a header: -H 'X-Api-Key: x'
	case k == password && sign == ':' && at > 0 && sc.listed(at, to):
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

// labelled reports whether at most three words and no colon stand before position at in its line.
func (sc *scanner) labelled(at int) bool {
	before := sc.s[max(0, at-48):at]
	before = before[strings.LastIndexByte(before, '\n')+1:]
	return len(before) < 48 && strings.Count(before, " ") <= 3 && !strings.ContainsAny(before, ":={(")
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
	} else if lineStart(s, at) && restBlank(s, to) {
		where = line
	} else if at > 0 && s[at-1] == '/' && (at == 1 || s[at-2] == ' ') {
		where = tight // an option of Windows: /password:x
	}
	if to <= v || !sc.accept(s[at:end], k, s[v:to], where) {
		return 0
	}
	return sc.give(v, to, "assignment")
}

// block looks for a value in the next line, as YAML writes a text of several lines.
func (sc *scanner) block(at, end, v int, k kind) int {
	s := sc.s
	if !lineStart(s, at) {
		return 0
	}
	eol := near(s, v, "\r\n")
	if from, ok := strings.CutPrefix(s[skipSpace(s, eol):], "value: "); ok && eol == v && k == password {
		return sc.give(len(s)-len(from), valueEnd(s, len(s)-len(from)), "field")
	}
	if eol-v > 2 || s[v] != '|' && s[v] != '>' {
		return 0
	}
	from := skipSpace(s, eol)
	to := near(s, from, "\r\n")
	if from == to || !sc.accept(s[at:end], k, s[from:to], line) {
		return 0
	}
	return sc.give(from, to, "assignment")
}

// pairValue looks for the value of a pair: {name: PASSWORD, value: x}, the same in two lines
// of YAML, or <add key="password" value="x"/>. p is the position after the name of the secret.
func (sc *scanner) pairValue(at int, k kind, p int) int {
	s := sc.s
	q := p
	for q < len(s) && q < p+64 && strings.IndexByte(" \t\r\n,\"'\\", s[q]) >= 0 {
		q++
	}
	if q >= len(s) {
		return 0
	}
	rest := s[q:]
	if s[min(q, len(s)-1)] == '-' || len(rest) < 6 || !strings.EqualFold(rest[:5], "value") || inName[rest[5]] {
		if to := sc.nextArgument(at, k, p); to > 0 {
			return to
		}
		return 0
	}
	q = skipBlank(s, closing(s, q+5))
	if q >= len(s) || s[q] != ':' && s[q] != '=' {
		return 0
	}
	v := skipBlank(s, q+1)
	if from, to, ok := quotedValue(s, v); ok {
		if !isPlaceholder(s[from:to]) && !IsMarker(s[from:to]) {
			return sc.give(from, to, "field")
		}
		return 0
	}
	to := valueEnd(s, v)
	if s[q] == ':' && v < len(s) && strings.Contains(s[p:q], "\n") { // YAML: to the end of the line
		if eol := near(s, v, "\r\n#"); eol > to {
			_, to = trimmed(s, v, eol)
		}
	}
	if v >= len(s) || to == v || isPlaceholder(s[v:to]) || IsMarker(s[v:to]) {
		return 0
	}
	return sc.give(v, to, "field")
}

// nextArgument looks for the value of an option in a list: "--password", "x".
func (sc *scanner) nextArgument(at int, k kind, p int) int {
	s := sc.s
	q := skipBlank(s, p)
	if s[at] != '-' || q >= len(s) || s[q] != ',' {
		return 0
	}
	from, to, ok := quotedValue(s, skipBlank(s, q+1))
	if !ok || !sc.accept(s[at:], k, s[from:to], strict) {
		return 0
	}
	return sc.give(from, to, "assignment")
}

// elementAt reports whether the word is the name of an opening XML element.
func elementAt(s string, at, end int) bool {
	if at == 0 || s[at-1] == '<' {
		return at > 0
	}
	if s[at-1] != ':' {
		return false
	}
	n := at - 1
	for n > 0 && at-n < 32 && inName[s[n-1]] {
		n--
	}
	return n < at-1 && n > 0 && s[n-1] == '<'
}

// element looks for the text of an XML element whose name ends at position end.
func (sc *scanner) element(name string, k kind, end int) int {
	s := sc.s
	close := strings.IndexAny(s[end:min(len(s), end+lookBehind)], "<>")
	if close < 0 || s[end+close] != '>' || close > 0 && s[end] != ' ' && s[end] != '\n' {
		return 0
	}
	from := end + close + 1
	if s[from-2] == '/' {
		return 0
	}
	to := near(s, from, "<")
	if to == from+judged {
		to = upTo(s, to, "<")
		sc.r.work.add(to - from)
		if !strings.HasPrefix(s[to:], "</") {
			return to
		}
	}
	if !strings.HasPrefix(s[to:], "</") {
		if !strings.HasPrefix(s[to:], "<![CDATA[") {
			return 0
		}
		from = to + len("<![CDATA[")
		if to = upTo(s, from, "]"); from >= to {
			return 0
		}
	}
	for from < to && isSpace(s[from]) {
		from++
	}
	for from < to && isSpace(s[to-1]) {
		to--
	}
	if from == to || k == token && !hasLetter(s[from:to]) || !sc.accept(name, k, s[from:to], strict) {
		return 0
	}
	return sc.give(from, to, "field")
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

// quotedName looks for what follows a name in quotes: fill_in "Password", with: "x", and the part of
// a multipart form. p is the position behind the quote.
func (sc *scanner) quotedName(at, end, p int) int {
	s := sc.s
	if p == end || p >= len(s) || !mayBeSecret(s[at:end]) || s[p] != ',' && s[p] != ' ' && s[p] != '\r' && s[p] != '\n' {
		return 0
	}
	for _, word := range []string{", with: ", " with "} {
		if !strings.HasPrefix(s[p:], word) {
			continue
		}
		if from, to, ok := quotedValue(s, p+len(word)); ok && sc.r.classify(s[at:end]) != noSecret && sc.acceptLiteral(s[from:to], password) {
			return sc.give(from, to, "argument")
		}
	}
	for _, gap := range []string{"\n\n", "\r\n\r\n"} {
		if strings.HasPrefix(s[p:], gap) && afterAny(s[max(0, at-6):at], "name=\"") && sc.r.classify(s[at:end]) != noSecret {
			from := p + len(gap)
			if to := near(s, from, "\r\n"); to > from && !IsMarker(s[from:to]) && s[from] != '-' {
				return sc.give(from, to, "field")
			}
		}
	}
	return 0
}
