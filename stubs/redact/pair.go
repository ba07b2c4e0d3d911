package redact

import "strings"

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
	if at > 0 && s[at-1] == '{' && k == password && strings.HasPrefix(s[q:], ",<<\"") { // a tuple of Erlang
		if from, to, ok := quotedValue(s, q+3); ok && strings.HasPrefix(s[to:], "\">>}") && sc.acceptLiteral(s[from:to], k) {
			return sc.give(from, to, "field")
		}
	}
	if s[at] != '-' || q >= len(s) || s[q] != ',' {
		return 0
	}
	from, to, ok := quotedValue(s, skipBlank(s, q+1))
	if !ok || !sc.accept(s[at:], k, s[from:to], strict) {
		return 0
	}
	return sc.give(from, to, "assignment")
}

// quotedOption looks for the value of an option in a list as Go prints it: ["--password" "x"].
// The quote after the option ends at position p, and the value begins at q.
func (sc *scanner) quotedOption(at, p, q int) int {
	s := sc.s
	if s[at] != '-' || q == p || q >= len(s) || s[q] != '"' || at == 0 || s[at-1] != '"' || s[p-1] != '"' {
		return 0
	}
	from, to, ok := quotedValue(s, q)
	k := sc.r.classify(s[at : p-1])
	if !ok || k == noSecret || k == header || s[from] == '-' || !sc.accept(s[at:p-1], k, s[from:to], strict) {
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

// quotedName looks for what follows a name in quotes: fill_in "Password", with: "x", and the part of
// a multipart form. p is the position after the quote.
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
	if at > 1 && s[at-2] == '(' && strings.HasPrefix(s[p:], ", ") && sc.r.classify(s[at:end]) == password { // ('password', 'x')
		if from, to, ok := quotedValue(s, p+2); ok && to+1 < len(s) && s[to+1] == ')' && sc.acceptLiteral(s[from:to], password) && !inName[s[max(0, at-3)]] {
			return sc.give(from, to, "field")
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

// tag looks at the element of XML or HTML whose name ends at position end: an attribute that names
// or types a secret makes one of the attribute "value".
func (sc *scanner) tag(at, end int) {
	s := sc.s
	if at == 0 || s[at-1] != '<' || end >= len(s) || s[end] != ' ' {
		return
	}
	secret, from, to := false, 0, 0
	stop := min(len(s), end+longestCommand)
	begin := end
	for end < stop && s[end] != '>' && s[end] != '<' {
		if !inName[s[end]] {
			end++
			continue
		}
		name := end
		for end < stop && inName[s[end]] {
			end++
		}
		if end >= stop || s[end] != '=' {
			continue
		}
		f, t, ok := quotedValue(s[:stop], end+1)
		if !ok {
			continue
		}
		switch strings.ToLower(s[name:end]) {
		case "name", "key", "id", "type", "property":
			secret = secret || sc.r.classify(s[f:t]) != noSecret
		case "value", "content":
			from, to = f, t
		}
		end = t + 1
	}
	sc.r.work.add(end - begin)
	if secret && to > from && !isPlaceholder(s[from:to]) && !IsMarker(s[from:to]) && !isComplaint(s[from:to]) {
		sc.later(from, to, "field")
	}
}
