package redact

import "strings"

// statements lead from the name of a secret to its value: "was set to x", "is: x", "will be x".
var statements = words(`is was has been now set reset changed updated rotated to will be are equals as currently temporarily become becomes switched`)

// valueNext may be the last of them.
var valueNext = words(`is was to be are equals becomes now`)

// verdicts are what a sentence says of a password after naming it: "password x rejected".
var verdicts = words(`rejected accepted refused denied leaked`)

// phraseWords end names of two words.
var phraseWords = words(`key keys id token phrase secret`)

// phraseKind is classify for a name that may be two words, "API key" or "session id", and where it begins.
func (sc *scanner) phraseKind(at, end int) (kind, int) {
	s := sc.s
	w := s[at:end]
	if len(w) <= 6 && phraseWords[strings.ToLower(w)] {
		b := at - 1
		for b > 0 && at-b < 20 && isLetter(s[b-1]) {
			b--
		}
		if b >= 0 && b < at-1 && s[at-1] == ' ' && (b == 0 || s[b-1] != ':' && s[b-1] != '=') { // that is the value before: {Name:bob Token:x}
			if k := sc.r.classify(s[b:at-1] + "_" + w); k != noSecret || w != "token" && w != "Token" {
				return k, b
			}
		}
	}
	return sc.r.classify(w), at
}

// stated looks for the value that a sentence gives to the secret name from at to end. v is the
// position of the next word.
func (sc *scanner) stated(at, end, v int, k kind) int {
	s := sc.s
	if s[end] != ' ' && s[end] != '\t' {
		return 0
	}
	folded := strings.ToLower(s[at:end])
	if v >= len(s) || folded == "pass" || commands[folded] != nil || folded == "htpasswd" {
		return 0 // a verb, or a program
	}
	before := strings.ToLower(s[max(0, at-16):at])
	line := s[v:near(s, v, "\r\n")]
	line = line[:min(len(line), 100)]
	sc.r.work.add(len(line))
	if from, to, ok := quotedValue(s, v); ok {
		x := s[from:to]
		if (k == password && folded != "secret" && !strings.HasPrefix(folded, "cred") && !strings.HasSuffix(folded, "s") || isDrawn(x) && !sc.counted(at)) && sc.acceptLiteral(x, k) && sc.spoken(x) {
			return sc.alike(sc.give(from, to, "assignment"))
		}
		return 0
	}
	to := valueEnd(s, v)
	x := s[v:to]
	switch {
	case len(x) >= 4 && len(x) <= 10 && strings.Trim(x, digits0) == "" && (folded == "otp" || folded == "pin" || folded == "passcode" || folded == "password" && afterAny(before, "time ")):
		return sc.give(v, to, "code")
	case k == password && len(x) >= 6 && hasLetter(x) && sc.spoken(x) && !wordy(x) && (strings.ContainsAny(x, "!@#$^*~+=") && s[to-1] != '!' && hasDigit(x) || hasDigit(x) && len(x) >= 8 && afterAny(before, "trying ", "tried ", "generated ", "using ", "use ", "enter ", "entered ", "new ", "temporary ", "guessed ")):
		return sc.give(v, to, "assignment")
	case isDrawn(x) && !sc.counted(at) && !formAt(s, v) && (folded != "token" || strings.Trim(x, hexDigits) != "" || afterAny(before, "using ", "with ")):
		return sc.alike(sc.give(v, to, "assignment"))
	}
	if k == password {
		next, _, _ := strings.Cut(strings.TrimLeft(s[to:min(len(s), to+16)], " "), " ")
		if verdicts[strings.Trim(next, ".,;:!\n")] && sc.spoken(x) && len(x) >= 4 && !metaWords[strings.ToLower(x)] && !optionProse[strings.ToLower(x)] && s[to] == ' ' {
			return sc.give(v, to, "assignment")
		}
		if to := sc.unequal(v, line); to > 0 {
			return to
		}
		if colon := strings.Index(line, ": "); colon > 4 && (strings.EqualFold(line[:4], "for ") || strings.Contains(line[:colon], "enerated") || strings.Contains(line[:colon], "assigned")) && !strings.ContainsAny(line[:colon], "/(=,") {
			from, end := v+colon+2, valueEnd(s, v+colon+2)
			if y := s[from:end]; len(y) >= 4 && restBlank(s, end) && sc.spoken(y) && !optionProse[strings.ToLower(y)] {
				return sc.give(from, end, "assignment")
			}
		}
	}
	if k == password && len(line) > 4 && strings.EqualFold(line[:4], "for ") { // "password for bob is x"
		for n, i := 0, 4; n < 3; n++ {
			next := strings.IndexByte(line[i:], ' ')
			if next < 0 {
				break
			}
			i += next + 1
			if w, _, _ := strings.Cut(line[i:], " "); statements[w] {
				return sc.statement(at, end, v+i, k, before)
			}
		}
	}
	return sc.statement(at, end, v, k, before)
}

// precedes looks for the value in "x is the password": it is marked although the scan has passed it.
func (sc *scanner) precedes(at int, k kind) {
	s := sc.s
	low := max(0, at-longestName)
	before := s[low:at]
	sc.r.work.add(len(before))
	cut := max(strings.LastIndex(before, " is "), strings.LastIndex(before, " as "))
	if cut < 1 {
		return
	}
	if q := before[cut-1]; (q == '"' || q == '\'') && cut > 2 {
		if open := strings.LastIndexByte(before[:cut-1], q); open >= 0 && sc.acceptLiteral(before[open+1:cut-1], k) {
			sc.later(low+open+1, low+cut-1, "assignment")
		}
		return
	}
	from := strings.LastIndexByte(before[:cut], ' ') + 1
	if x := before[from:cut]; len(x) >= 6 && hasDigit(x) && hasLetter(x) && sc.spoken(x) && !wordy(x) {
		sc.later(low+from, low+cut, "assignment")
	}
}

// statement looks for "is x", "was changed from x to y" and their like at position v.
func (sc *scanner) statement(at, end, v int, k kind, before string) int {
	s := sc.s
	last, count := "", 0
	for ; count < 6; count++ {
		n := v
		for n < len(s) && n < v+12 && isLetter(s[n]) {
			n++
		}
		w := strings.ToLower(s[v:n])
		if w == "from" && count > 0 {
			v = skipBlank(s, n)
			to := valueEnd(s, v)
			if from, to, ok := quotedValue(s, v); ok && strings.HasPrefix(s[to+1:], " to ") && k == password && sc.acceptLiteral(s[from:to], k) {
				return sc.alike(sc.give(from, to, "assignment"))
			}
			if rest, ok := strings.CutPrefix(s[to:], " to "); ok && k == password && sc.spoken2(s[v:to]) {
				sc.give(v, to, "assignment")
				v = len(s) - len(rest)
				if from, to, ok := quotedValue(s, v); ok {
					return sc.give(from, to, "assignment")
				}
				return sc.give(v, valueEnd(s, v), "assignment")
			}
			return 0
		}
		if !statements[w] || w == "to" && count == 0 {
			break
		}
		last = w
		v = n
		if n < len(s) && s[n] == ':' {
			v = skipBlank(s, n+1)
			count++
			break
		}
		v = skipBlank(s, n)
	}
	if count == 0 || !valueNext[last] || v >= len(s) || afterAny(before, "no ", "any ", "if ", "when ", "every ", "each ", "that ", "which ") {
		return 0
	}
	if w := strings.ToLower(s[at:end]); (strings.HasPrefix(w, "secret") || strings.HasPrefix(w, "cred")) && !afterAny(before, "the ", "your ", "client ", "shared ", "my ", "s ") {
		return 0
	}
	if from, to, ok := quotedValue(s, v); ok {
		if x := s[from:to]; len(x) >= 4 && !isWord(x) && !isPlaceholder(x) && !IsMarker(x) && !isComplaint(x) {
			return sc.alike(sc.give(from, to, "assignment"))
		}
		return 0
	}
	if to := near(s, v, "\r\n\"'.,"); strings.HasSuffix(strings.ToLower(s[at:end]), "phrase") && strings.IndexByte(s[v:to], ' ') > 0 && strings.Trim(s[v:to], alphanumeric+" ") == "" && passWords2(s[v:to]) {
		return sc.give(v, to, "assignment")
	}
	to := valueEnd(s, v)
	if !sc.sayable(v, to, k, before, count) {
		return 0
	}
	return sc.give(v, to, "assignment")
}

// sayable reports whether a word without quotes is the value that a sentence of so many words gives.
func (sc *scanner) sayable(v, to int, k kind, before string, count int) bool {
	s := sc.s
	x := s[v:to]
	if len(x) < 4 || !sc.spoken(x) || optionProse[strings.ToLower(x)] {
		return false
	}
	drawn := hasDigit(x) && hasLetter(x) && len(x) >= 6 && !wordy(x)
	ends := restBlank(s, to) || to < len(s) && strings.IndexByte(".,;)", s[to]) >= 0 && (to+1 == len(s) || isSpace(s[to+1]))
	if k == password {
		return ends && (hasDigit(x) || strings.Trim(x, alphanumeric) != "" || !strings.HasSuffix(x, "ly") && !strings.HasSuffix(x, "ful") && !strings.HasSuffix(x, "less")) || drawn
	}
	return ends && (drawn || k == key && len(x) >= 5 && afterAny(before, "your api ", "my api ", "new api ", "your access ", "your secret "))
}

const (
	digits0   = "0123456789"
	hexDigits = "0123456789abcdef"
)

// isDrawn reports whether a value is too long and mixed to be a word: keys and tokens are.
func isDrawn(v string) bool {
	return len(v) >= 16 && hasDigit(v) && hasLetter(v) && strings.Trim(v, alphanumeric+"_-.+/=") == "" && !wordy(v) && strings.Count(v, "/") < 2 && strings.Count(v, ".") < 3
}

// alikes stand between two values of one secret.
var alikes = []string{"but got ", "but was ", "got ", "want ", "expected ", "instead of ", "not ", "!= ", "vs ", "to ", "actual ", "-> ", "=> "}

// alike looks for a second value after position at: expected password "x" but got "y".
func (sc *scanner) alike(at int) int {
	s := sc.s
	rest := s[at:min(len(s), at+32)]
	sc.r.work.add(len(rest))
	trim := strings.TrimLeft(rest, "\"'\\,; ")
	v := at + len(rest) - len(trim)
	for _, a := range alikes {
		if strings.HasPrefix(trim, a) {
			v += len(a)
			n := v
			for n < len(s) && n < v+longestName && inName[s[n]] {
				n++
			}
			if n < len(s) && s[n] == ' ' && sc.r.classify(s[v:n]) != noSecret {
				v = n + 1
			}
			from, to, ok := quotedValue(s, v)
			if !ok {
				from, to = v, valueEnd(s, v)
			}
			if x := s[from:to]; len(x) >= 3 && sc.spoken(x) && !optionProse[strings.ToLower(x)] {
				sc.later(from, to, "assignment")
			}
			break
		}
	}
	return at
}

// unequal looks for "x != y" in what a line says of a password.
func (sc *scanner) unequal(v int, line string) int {
	found := 0
	for _, word := range []string{"got ", "want ", "expected "} { // password mismatch: got "x", want "y"
		if i := strings.Index(line, word); i >= 0 {
			if from, to, ok := quotedValue(sc.s, v+i+len(word)); ok && sc.acceptLiteral(sc.s[from:to], password) {
				sc.later(from, to, "assignment")
				found = v
			}
		}
	}
	if found > 0 {
		return found
	}
	for _, sign := range []string{" != ", " vs ", " <> "} {
		i := strings.Index(line, sign)
		if i < 1 {
			continue
		}
		a := strings.LastIndexByte(line[:i], ' ') + 1
		from, to := v+i+len(sign), valueEnd(sc.s, v+i+len(sign))
		if x, y := line[a:i], sc.s[from:to]; sc.spoken2(x) && sc.spoken2(y) {
			sc.later(from, to, "assignment")
			return sc.give(v+a, v+i, "assignment")
		}
	}
	return 0
}

func (sc *scanner) spoken2(v string) bool {
	return len(v) >= 4 && sc.spoken(v) && !optionProse[strings.ToLower(v)]
}

// userColon looks for user:secret at position v.
func (sc *scanner) userColon(v int) int {
	s := sc.s
	to := valueEnd(s, v)
	if rest := s[v:min(len(s), v+8)]; strings.HasPrefix(rest, "are ") || strings.HasPrefix(rest, "were ") || strings.HasPrefix(rest, ": ") {
		v = skipBlank(s, v+strings.IndexByte(rest, ' ')+1)
		to = valueEnd(s, v)
	}
	user, pass, ok := strings.Cut(s[v:to], ":")
	if !ok {
		if user, pass, ok = strings.Cut(s[v:to], "/"); !ok && strings.HasPrefix(s[to:], " / ") { // bob / x
			user, ok = s[v:to], true
			to = valueEnd(s, to+3)
			pass = s[v+len(user)+3 : to]
		}
	}
	if !ok || len(user) < 2 || strings.Trim(user, alphanumeric+"_-.@") != "" || len(pass) < 4 || !hasLetter(pass) || strings.ContainsAny(pass, "/@:") || !sc.spoken(pass) {
		return 0
	}
	return sc.give(to-len(pass), to, "assignment")
}
