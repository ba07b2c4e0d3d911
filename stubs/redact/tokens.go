package redact

import (
	"fmt"
	"strconv"
	"strings"
)

// form is the shape of a secret that gives itself away: a prefix, and how many characters of
// which class follow it.
type form struct {
	prefix      string
	class       *[256]bool
	least, most int  // characters after the prefix; most 0 is without limit
	digit       bool // at least one of them is a digit, or it is a word
	rule        string
}

// classes of characters, by the letter that forms uses for them.
var classes = map[byte]*[256]bool{
	'a': charset("", true, true, true), 'w': charset("_-", true, true, true), 'U': charset("", false, true, true), 'l': charset("", true, false, true),
	'h': charset("abcdef", false, false, true), 'd': charset("_-.", true, true, true), 'b': charset("+/=_-", true, true, true), 't': charset("_-.~", true, true, true),
	'e': charset("_-.=", true, true, true), '$': charset("$", true, true, true), 'c': charset("./$", true, true, true), 'g': charset("./$+=,_-", true, true, true), 'q': charset("_-.:/+=%~@", true, true, true), 'p': charset("_-.:/+=%~", true, true, true), 'H': charset("abcdefABCDEF", false, false, true),
}

func charset(more string, lower, upper, digits bool) *[256]bool {
	var in [256]bool
	for c := range in {
		b := byte(c)
		in[c] = lower && isLower(b) || upper && isUpper(b) || digits && isDigit(b) || b != 0 && strings.IndexByte(more, b) >= 0
	}
	return &in
}

// forms by their first byte, and which second bytes they have there.
var formsBy, formSeconds = func() (by [256][]form, seconds [256][256]bool) {
	for line := range strings.Lines(formTable) {
		f := strings.Fields(line)
		if len(f) != 4 {
			continue
		}
		lengths, digit := strings.CutSuffix(f[2], "!")
		least, most, limited := strings.Cut(lengths, "-")
		x := form{prefix: f[0], class: classes[f[1][0]], digit: digit, rule: f[3]}
		var err error
		if x.least, err = strconv.Atoi(least); err == nil && limited {
			x.most, err = strconv.Atoi(most)
		}
		if err != nil {
			panic(fmt.Sprintf("form %q: %v", line, err)) // a mistake in the table
		}
		by[x.prefix[0]] = append(by[x.prefix[0]], x)
		seconds[x.prefix[0]][x.prefix[1]] = true
	}
	return by, seconds
}()

// byForm finds the secret that begins at position at by its own form; to is 0 where none does.
func byForm(s string, at int) (to int, rule string) {
	if at+Shortest > len(s) || !formSeconds[s[at]][s[at+1]] {
		return 0, ""
	}
	for i := range formsBy[s[at]] {
		f := &formsBy[s[at]][i]
		rest, ok := strings.CutPrefix(s[at:], f.prefix)
		if !ok {
			continue
		}
		n, digit := 0, false
		for n < len(rest) && f.class[rest[n]] {
			digit = digit || isDigit(rest[n])
			n++
		}
		for n > 0 && (rest[n-1] == '.' || rest[n-1] == ':' || rest[n-1] == '/') {
			n-- // the end of a sentence
		}
		if n < f.least || f.most > 0 && n > f.most || f.digit && !digit {
			continue
		}
		to = at + len(f.prefix) + n
		switch {
		case f.most > 0 && to < len(s) && (isLetter(s[to]) || isDigit(s[to]) || s[to] == '_'):
			continue // part of a longer word
		case f.digit && wordy(rest[:n]), len(f.prefix) == 2 && camel(rest[:n]):
			continue
		case f.rule == "jwt":
			if to = jwtEnd(s, to); to == 0 {
				continue
			}
		}
		return to, f.rule
	}
	return 0, ""
}

// wordy reports whether a token is made of words and numbers that hyphens or underscores
// separate: "learn-compatible-estimators-2", "build_go1_26_linux".
func wordy(s string) bool {
	parts, short := 0, 0
	for part := range strings.FieldsFuncSeq(s, func(c rune) bool { return c == '-' || c == '_' || c == '.' }) {
		parts++
		letters := strings.TrimRight(part, "0123456789")
		if len(part)-len(letters) > 4 {
			return false
		}
		if letters == "" || strings.Trim(letters, "abcdefghijklmnopqrstuvwxyz") == "" || strings.Trim(letters[1:], "abcdefghijklmnopqrstuvwxyz") == "" {
			short++
		}
	}
	return parts >= 3 && short == parts
}

// camel reports whether most of a token is words: "ReadUint16LengthPrefixed".
func camel(s string) bool {
	return 2*(len(s)-len(wordParts.ReplaceAllString(s, ""))) > len(s)
}

// jwtEnd is the end of a JSON Web Token whose first part ends at position at, or 0.
func jwtEnd(s string, at int) int {
	part := classes['w']
	for n := range 4 { // five parts, where it is encrypted
		if at >= len(s) || s[at] != '.' {
			return 0
		}
		end := at + 1
		for end < len(s) && part[s[end]] {
			end++
		}
		if n == 0 && end-at < 9 {
			return 0
		}
		at = end
		if at >= len(s) || s[at] != '.' {
			return at
		}
	}
	return at
}

// byStructure finds secrets that have no prefix but parts of known lengths, in the word that
// begins at position at: tokens of Discord bots and of Telegram bots, client secrets of Azure,
// keys of Mailchimp, tokens of Terraform.
func byStructure(s string, at, end int) (to int) {
	w := s[at:end]
	switch {
	case len(w) >= 8 && len(w) <= 10 && end < len(s) && s[end] == ':' && strings.Trim(w, "0123456789") == "":
		n := end + 1
		for n < len(s) && classes['w'][s[n]] {
			n++
		}
		if n-end-1 == 35 {
			return n
		}
	case len(w) >= 11 && len(w) <= 13 && w[:3] == "bot" && end < len(s) && s[end] == ':' && strings.Trim(w[3:], "0123456789") == "": // the path of a Telegram bot
		n := end + 1
		for n < len(s) && classes['w'][s[n]] {
			n++
		}
		if n-end-1 == 35 {
			return n
		}
	case len(w) == 82 && w[:3] == "pat" && w[17] == '.' && strings.Trim(w[18:], "0123456789abcdef") == "": // Airtable
		return end
	case len(w) >= 50 && strings.Contains(w, ".atlasv1."):
		return end
	case len(w) >= 58 && strings.Count(w, ".") == 2 && strings.IndexByte("MNO", w[0]) >= 0:
		parts := strings.Split(w, ".")
		if len(parts[0]) >= 23 && len(parts[0]) <= 28 && len(parts[1]) >= 6 && len(parts[1]) <= 7 && len(parts[2]) >= 27 && hasDigit(w) {
			return end
		}
	case len(w) >= 36 && len(w) <= 37 && w[32] == '-' && w[33:35] == "us" && strings.Trim(w[:32], "0123456789abcdef") == "" && hasDigit(w):
		return end
	case len(w) >= 2 && len(w) <= 5 && end < len(s) && s[end] == '~' && w[len(w)-1] == 'Q' && len(w) >= 5 && isDigit(w[len(w)-2]):
		n := end + 1
		for n < len(s) && classes['t'][s[n]] {
			n++
		}
		if n-end > 30 {
			return n
		}
	}
	return 0
}

// cryptSchemes begin the hash of a password as crypt(3) and web frameworks write it.
var cryptSchemes = []string{"$1$", "$5$", "$6$", "$7$", "$y$", "$gy$", "$2a$", "$2b$", "$2x$", "$2y$", "$apr1$", "$argon2", "$scrypt$", "$pbkdf2", "$P$", "$H$", "$S$", "$sha1$", "$md5", "{SSHA", "{SHA", "{CRYPT}", "{PBKDF2", "{bcrypt}"}

// cryptEnd is the end of the hash of a password that begins at position at, or 0.
func cryptEnd(s string, at int) int {
	for _, scheme := range cryptSchemes {
		if !strings.HasPrefix(s[at:], scheme) {
			continue
		}
		to := at + len(scheme)
		for to < len(s) && (classes['g'][s[to]] || s[to] == '}' && s[at] == '{' && to < at+16) {
			to++
		}
		for to > at && strings.IndexByte(".,", s[to-1]) >= 0 {
			to--
		}
		if to-at >= 24 {
			return to
		}
	}
	return 0
}
