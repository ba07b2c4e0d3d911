package redact

import "strings"

// codeOwners make a one-time or recovery code of the word "code" that follows them.
var codeOwners = words(`mfa otp totp 2fa tfa sms one-time onetime time verification login security recovery backup auth authentication passcode confirmation device pairing`)

// states are what a sentence says of a password: they follow "the password is".
var states = words(`weak strong short long safe secure unsafe insecure correct visible blank plain public private good bad fine okay here there never always only also still just now
	already clearly simply stored hidden shown displayed different identical equal unique useless optional mandatory sensitive printed logged empty handled another something nothing either both
	numeric alphanumeric alphabetic uppercase lowercase simple complex common trivial temporary permanent current fresh stale active inactive available unavailable necessary unnecessary written
	known seen sent kept lost broken chosen taken left stolen forgotten overwritten sufficient insufficient compliant consistent inconsistent enough ascii unicode whitespace binary base64 json static
	dynamic random generic constant duplicate similar ready done gone back out down zero once twice possible impossible important critical essential legal illegal ambiguous immutable mutable readonly
	local remote global external internal personal shared safely properly shorter longer stronger weaker older newer better worse least most hard easy soft full half free clean dirty
	consumed expire change match fail never null nothing read put cut hit hurt cost let shut spread insensitive case-sensitive human`)

// told looks for values that a sentence, a call or a command gives, other than by an
// assignment. at to end is the word before it. It returns where to go on, or 0.
func (sc *scanner) told(at, end int) int {
	s := sc.s
	if end >= len(s) {
		return 0
	}
	w := s[at:end]
	v := skipBlank(s, end)
	switch strings.ToLower(w) {
	case "code", "codes":
		return sc.oneTimeCode(at, end)
	case "key":
		if to := sc.licenseKey(at, end); to > 0 {
			return to
		}
	case "login":
		if to := valueEnd(s, v); isDrawn(s[v:to]) && to-v >= 20 && s[end] == ' ' {
			return sc.give(v, to, "assignment")
		}
		return 0
	case "geniekey", "ssws":
		if to := valueEnd(s, v); to-v >= 20 && hasDigit(s[v:to]) {
			return sc.give(v, to, "bearer")
		}
		return 0
	case "as":
		if before := s[max(0, at-10):at]; afterAny(before, "log in ", "login ", "logged in ", "ging in ", "gned in ", "gn in ") {
			return sc.userColon(v)
		}
		return 0
	case "attempt": // login attempt [user/password]
		if v < len(s) && s[v] == '[' && strings.HasSuffix(s[max(0, at-6):at], "login ") {
			if to := near(s, v, "]"); strings.IndexByte(s[v:to], '/') > 0 {
				from := v + strings.IndexByte(s[v:to], '/') + 1
				return sc.give(from, to, "assignment")
			}
		}
		return 0
	case "credentials", "creds":
		if to := sc.userColon(v); to > 0 {
			return to
		}
	case "convertto-securestring":
		v = skipBlank(s, v+len("-String ")*b2i(strings.HasPrefix(s[v:], "-String ")))
		if from, to, ok := quotedValue(s, v); ok && !isPlaceholder(s[from:to]) {
			return sc.give(from, to, "assignment")
		}
		return 0
	}
	k := noSecret
	if v < len(s) {
		k, _ = sc.phraseKind(at, end)
	}
	if k == noSecret || k == header {
		return 0
	}
	if to := sc.stated(at, end, v, k); to > 0 {
		return to
	}
	if from, to := sc.toldValue(at, end, v, k); to > from {
		return sc.give(from, to, "assignment")
	}
	return 0
}

// toldValue is the value that a call or a sentence gives to the secret name from at to end.
func (sc *scanner) toldValue(at, end, v int, k kind) (from, to int) {
	s := sc.s
	w := s[at:end]
	before := strings.ToLower(s[max(0, at-24):at])
	rest := s[v:min(len(s), v+lookBehind)]
	quotedAt := func(p int) (int, int) {
		if from, to, ok := quotedValue(s, skipBlank(s, p)); ok && sc.accept(w, k, s[from:to], quoted) && !isWord(s[from:to]) {
			return from, to
		}
		return 0, 0
	}
	switch {
	case strings.HasPrefix(rest, "</"): // <key>password</key><string>x</string>
		tag := skipSpace(s, near(s, v, ">")+1)
		if tag >= len(s) || s[tag] != '<' {
			return 0, 0
		}
		if from = near(s, tag, ">") + 1; from > len(s) {
			return 0, 0
		}
		if name := strings.ToLower(s[tag+1 : from-1]); !strings.HasSuffix(name, "string") && !strings.HasSuffix(name, "value") {
			return 0, 0
		}
		if to = near(s, from, "<"); strings.HasPrefix(s[to:], "</") && to > from && !isPlaceholder(s[from:to]) && !IsMarker(s[from:to]) {
			return from, to
		}
	case k != password && !strings.HasSuffix(before, "using ") && !strings.HasSuffix(before, "with "):
	case strings.HasPrefix(rest, "-> ") && lineStart(s, at):
		from = skipBlank(s, v+3)
		if to = valueEnd(s, from); to-from >= 6 && restBlank(s, to) && sc.spoken(s[from:to]) && !strings.Contains(s[from:to], "assw") {
			return from, to
		}
	case strings.HasPrefix(rest, "to equal "):
		return quotedAt(v + len("to equal "))
	case strings.HasPrefix(rest, "to be "):
		return quotedAt(v + len("to be "))
	case len(rest) > 4 && strings.EqualFold(rest[:4], "for "): // SET PASSWORD FOR x = 'y', Password for x: y
		if eq := strings.Index(rest, "= "); eq > 0 && !strings.Contains(rest[:eq], "\n") && w == "PASSWORD" {
			return quotedAt(v + eq + 2)
		}
	case afterAny(before, "in with ", "login with ", "user with ") && k == password && !strings.HasSuffix(rest[:valueEnd(s, v)-v], "s") && sc.spoken2(rest[:valueEnd(s, v)-v]) && restBlank(s, valueEnd(s, v)) && !metaWords[strings.ToLower(rest[:valueEnd(s, v)-v])]:
		return v, valueEnd(s, v)
	case afterAny(before, "using ", "with ", "wrong ", "invalid ", "incorrect ", "bad ", "use ", "enter "):
		if rest[0] == '"' || rest[0] == '\'' {
			return quotedAt(v)
		}
		if to = valueEnd(s, v); to-v >= 6 && (hasDigit(s[v:to]) && hasLetter(s[v:to]) && !wordy(s[v:to]) || k == password && strings.ContainsAny(s[v:to], "!@#$^*~+=")) && sc.spoken(s[v:to]) && s[end] == ' ' && inName[rest[0]] {
			return v, to
		}
	}
	return 0, 0
}

// spoken reports whether a word in a sentence is a value, and not what is said of one.
func (sc *scanner) spoken(v string) bool {
	low := strings.ToLower(v)
	for _, end := range []string{"ed", "ing", "able", "ible", "()"} {
		if strings.HasSuffix(low, end) && !hasDigit(v) {
			return false
		}
	}
	return !states[low] && !isWord(v) && !isPlaceholder(v) && !IsMarker(v) && !isCode(v) && !isComplaint(v)
}

func afterAny(before string, ends ...string) bool {
	for _, end := range ends {
		if strings.HasSuffix(before, end) {
			return true
		}
	}
	return false
}

// oneTimeCode looks for codes after "verification code is" or "recovery codes:".
func (sc *scanner) oneTimeCode(at, end int) int {
	s := sc.s
	owner := strings.ToLower(strings.TrimRight(s[max(0, at-24):at], " "))
	owner = strings.TrimLeft(owner[strings.LastIndexAny(owner, " \n\"'(")+1:], "-")
	if codeOwners[owner] {
		sc.codeBefore(at)
	}
	v := skipBlank(s, end)
	if !codeOwners[owner] && owner != "use" && owner != "enter" && !(owner == "your" && strings.HasPrefix(s[v:], "is ") && len(s) > v+8 && strings.Trim(s[v+3:v+9], digits0) == "") {
		return 0
	}
	rest := s[v:]
	switch {
	case rest == "":
		return 0
	case rest[0] == ':' || rest[0] == '=':
		v++
	case strings.HasPrefix(rest, "is: "):
		v += 3
	case strings.HasPrefix(rest, "is "):
		v += 2
	case owner == "use" || owner == "enter":
		if to := valueEnd(s, v); to-v < 4 || to-v > 8 || strings.Trim(s[v:to], digits0) != "" || !strings.HasPrefix(s[to:], " to ") && !strings.HasPrefix(s[to:], " as ") {
			return 0
		}
	case !isDigit(rest[0]) && !(hasDigit(s[v:valueEnd(s, v)]) && strings.Contains(s[v:valueEnd(s, v)], "-")):
		return 0
	}
	last := 0
	for range 16 {
		from := skipSpace(s, v)
		to := valueEnd(s, from)
		x := s[from:to]
		if len(x) < 4 || !hasDigit(x) || strings.Trim(x, alphanumeric+"-") != "" || wordy(x) {
			break
		}
		last = sc.give(from, to, "code")
		v = to
		for v < len(s) && v < to+2 && s[v] == ',' {
			v++
		}
	}
	return last
}

// codeBefore looks for the code in "123456 is your verification code".
func (sc *scanner) codeBefore(at int) {
	low := max(0, at-lookBehind)
	before := sc.s[low:at]
	sc.r.work.add(len(before))
	for _, word := range []string{" is your ", " as your "} {
		i := strings.LastIndex(before, word)
		if i < 0 || len(before)-i > 40 {
			continue
		}
		from := strings.LastIndexAny(before[:i], " \n\"'") + 1
		if x := before[from:i]; len(x) >= 4 && hasDigit(x) && strings.Trim(x, upperLetters+digits0+"-") == "" {
			sc.later(low+from, low+i, "code")
		}
	}
}

// listed reports whether a name at position at is a field of a list, or what a prompt asks
// for, and its value ends the field: "(password: x)", "user: bob, password: x".
func (sc *scanner) listed(at, to int) bool {
	s := sc.s
	if to < len(s) && strings.IndexByte("),}]\n\r;", s[to]) < 0 {
		return false
	}
	if s[at-1] == '(' {
		return true
	}
	before := s[max(0, at-lookBehind):at]
	if strings.HasSuffix(before, "Enter ") {
		return true
	}
	for _, sep := range []string{" / ", "; ", " and ", " | "} {
		if rest, ok := strings.CutSuffix(before, sep); ok {
			before = rest + ", "
		}
	}
	if words := strings.Fields(before[strings.LastIndexByte(before, '\n')+1:]); len(words) == 2 && strings.HasSuffix(words[0], ":") && userNames[strings.ToLower(strings.TrimSuffix(words[0], ":"))] {
		return true // login: bob password: x
	}
	before, ok := strings.CutSuffix(before, ", ")
	i := strings.LastIndexByte(before, ' ')
	return ok && i > 0 && before[i-1] == ':'
}

// phraseEnd is the end of a passphrase without quotes: several words to the end of the line.
func phraseEnd(s string, at, v, to int, name string) int {
	if !lineStart(s, at) || !strings.Contains(strings.ToLower(name), "phrase") && !isEnv(name) {
		return to
	}
	eol := near(s, v, "\r\n\"'#,;")
	x := s[v:eol]
	if n := strings.Count(x, " "); n < 1 || n == 1 && !passWords2(x) || isComplaint(x) || notPhrase[strings.ToLower(x[:strings.IndexByte(x, ' ')])] || strings.Trim(x, alphanumeric+" -") != "" {
		return to
	}
	return eol
}

// passWords2 reports whether two words are a passphrase and not a remark.
func passWords2(x string) bool {
	for w := range strings.FieldsSeq(x) {
		if w = strings.ToLower(w); len(w) < 4 || isWord(w) || optionProse[w] || states[w] || metaWords[w] || strings.HasSuffix(w, "ed") || strings.HasSuffix(w, "ing") {
			return false
		}
	}
	return true
}

// notPhrase begin an error about a passphrase.
var notPhrase = words(`could unable failed no not error the for your expected got must-not`)

const upperLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// licenseKey looks for groups of letters and digits after "license key:".
func (sc *scanner) licenseKey(at, end int) int {
	s := sc.s
	if !afterAny(strings.ToLower(s[max(0, at-12):at]), "license ", "licence ", "product ", "activation ", "serial ") {
		return 0
	}
	v := skipBlank(s, end)
	if v < len(s) && (s[v] == ':' || s[v] == '=') {
		v = skipBlank(s, v+1)
	} else if strings.HasPrefix(s[v:], "is ") {
		v = skipBlank(s, v+3)
	}
	to := valueEnd(s, v)
	x := s[v:to]
	if len(x) < 12 || !hasDigit(x) || strings.Trim(x, alphanumeric+"-") != "" || strings.ToUpper(x) != x {
		return 0
	}
	return sc.give(v, to, "assignment")
}

// wrapped is the position after what may stand between a name and its value: Some( of Rust,
// string(8) of PHP, an anchor or a tag of YAML.
func wrapped(s string, v int) int {
	rest := s[v:min(len(s), v+longestName)]
	switch {
	case strings.HasPrefix(rest, `<%= "`), strings.HasPrefix(rest, `<%= '`):
		return v + len("<%= ")
	case wrapper(rest) > 0:
		return v + wrapper(rest)
	case strings.HasPrefix(rest, `Some("`):
		return v + len("Some(")
	case strings.HasPrefix(rest, "(string) (len="): // a dump of Go values
		if i := strings.Index(rest, `) "`); i > 0 {
			return v + i + 2
		}
	case strings.HasPrefix(rest, "string("):
		if i := strings.Index(rest, `) "`); i > 0 && strings.Trim(rest[7:i], "0123456789") == "" {
			return v + i + 2
		}
	case memberName(rest): // {"type": "string"}: an object, not a value
	case strings.HasPrefix(rest, `[]string{"`), strings.HasPrefix(rest, `["`), strings.HasPrefix(rest, `{"`), strings.HasPrefix(rest, `['`):
		return v + strings.IndexAny(rest, `"'`)
	case strings.HasPrefix(rest, "!!str "):
		return v + len("!!str ")
	case len(rest) > 2 && (rest[0] == '&' || rest[0] == '!') && isLetter(rest[1]):
		if i := strings.IndexByte(rest, ' '); i > 0 && strings.Trim(rest[1:i], alphanumeric+"_-") == "" && i+1 < len(rest) && inName[rest[i+1]] {
			return v + i + 1
		}
	}
	return v
}

// memberName reports whether a text begins with an object and the name of its first member.
func memberName(rest string) bool {
	name, ok := strings.CutPrefix(rest, `{"`)
	if !ok {
		return false
	}
	_, after, ok := strings.Cut(name, `"`)
	return ok && strings.HasPrefix(strings.TrimLeft(after, " "), ":")
}

// wrappers are conversions in which the text of a value stands.
var wrappers = []string{"String::from(", "String.valueOf(", "new String(", "[]byte(", "Buffer.from(", "SecretString::new(", "SecretString(", "Secret::new(", "secrets.String(", "Secret(", "SecretStr(", "Optional(", "Just(", "Ok(", "bytes(", "string("}

// wrapper is the length of the conversion that a text begins with, if a quote follows it.
func wrapper(text string) int {
	for _, w := range wrappers {
		if rest, ok := strings.CutPrefix(text, w); ok && rest != "" && strings.IndexByte("\"'`", rest[0]) >= 0 {
			return len(w)
		}
	}
	return 0
}
