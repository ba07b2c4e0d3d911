package redact

import "strings"

// protocol looks at commands of line protocols and of prompts that take a password as their last
// word: PASS, IDENTIFY, AUTH of HELLO, login. at to end is the word, v is where its argument begins.
func (sc *scanner) protocol(at, end, v int) int {
	s := sc.s
	if s[end] != ' ' {
		return 0
	}
	before := s[max(0, at-24):at]
	switch s[at:end] {
	case "PASS":
		if !prompted(before) {
			return 0
		}
		if begin := strings.LastIndexByte(s[:at], '\n') + 1; begin > 0 && s[begin:at] == "C: " && userLineBefore(s, begin) {
			return sc.give(v, upTo(s, v, "\r\n"), "assignment")
		}
		to := v
		for to < len(s) && strings.IndexByte(" \t\r\n\"'", s[to]) < 0 && !strings.HasPrefix(s[to:], `\r`) && !strings.HasPrefix(s[to:], `\n`) {
			to++
		}
		rest := s[to:min(len(s), to+2)]
		if x := s[v:to]; len(x) >= 4 && strings.ContainsAny(x, "0123456789!^*-_+.~%@#") && sc.spoken(x) && !isWord(x) && !isPlaceholder(x) && (rest == "" || strings.IndexByte("\r\n\\\"'", rest[0]) >= 0) {
			return sc.give(v, to, "assignment")
		}
	case "IDENTIFY":
		if strings.HasSuffix(before, ":") || strings.HasSuffix(before, "NickServ ") {
			return sc.lastArgument(v, 2)
		}
	case "AUTH":
		if strings.HasSuffix(before, "HELLO 2 ") || strings.HasSuffix(before, "HELLO 3 ") { // of Redis
			user := valueEnd(s, v)
			to := valueEnd(s, skipBlank(s, user))
			if from := skipBlank(s, user); from > user && to-from >= 4 && !isWord(s[from:to]) && !isPlaceholder(s[from:to]) {
				return sc.give(from, to, "assignment")
			}
		}
	case "login":
		if lineStart(s, at) || prompted(before) {
			user := valueEnd(s, v)
			from := skipBlank(s, user)
			to := valueEnd(s, from)
			if x := s[from:to]; user > v && from > user && restBlank(s, to) && len(x) >= 6 && hasDigit(x) && hasLetter(x) && !isWord(x) && !isCode(x) && !strings.ContainsAny(x, "/:=") {
				return sc.give(from, to, "assignment")
			}
		}
	}
	return 0
}

// prompted reports whether a text ends as the side of a conversation is written, or as the
// argument of a system call that sends one.
func prompted(before string) bool {
	return afterAny(before, "C: ", "> ", "$ ", "# ", `, "`, ", '", ">>> ")
}

// several looks at an assignment of several values, the first of which is a password:
// pw, err := "x", nil. end is after its name.
func (sc *scanner) several(at, end int) int {
	s := sc.s
	if s[end] != ',' || !lineOrSpace(s, at) {
		return 0
	}
	k := sc.r.classify(s[at:end])
	second := strings.ToLower(s[at:end])
	if k != password && second != "pw" {
		return 0
	}
	v := skipBlank(s, end+1)
	to := v
	for to < len(s) && inName[s[to]] {
		to++
	}
	if v = skipBlank(s, to); to == end+1 || v >= len(s) {
		return 0
	}
	switch rest := s[v:]; {
	case strings.HasPrefix(rest, ":= "):
		v += 3
	case strings.HasPrefix(rest, "= "):
		v += 2
	default:
		return 0
	}
	if from, to, ok := quotedValue(s, skipBlank(s, v)); ok && to-from >= 4 && !isPlaceholder(s[from:to]) && !isWord(s[from:to]) && !isComplaint(s[from:to]) && to+1 < len(s) && s[to+1] == ',' {
		return sc.give(from, to, "assignment")
	}
	return 0
}

// lineOrSpace reports whether a word that begins at a position stands by itself.
func lineOrSpace(s string, at int) bool {
	return at == 0 || strings.IndexByte(" \t\r\n;{(", s[at-1]) >= 0
}

// digested looks at a digest of a literal that a statement about passwords takes: SHA1('x').
func (sc *scanner) digested(at, end int) {
	s := sc.s
	switch strings.ToLower(s[at:end]) {
	case "sha", "sha1", "sha2", "sha256", "sha512", "md5", "old_password":
	default:
		return
	}
	if near := strings.ToLower(s[max(0, at-80):min(len(s), end+120)]); !strings.Contains(near, "passw") {
		return
	}
	if from, to, ok := quotedValue(s, end+1); ok && to-from >= 4 && !isPlaceholder(s[from:to]) && !isWord(s[from:to]) && !isComplaint(s[from:to]) {
		sc.later(from, to, "assignment")
	}
}

// isRepetition recognises the rule of a grammar: 1*tchar, 2*4DIGIT.
func isRepetition(v string) bool {
	rest := strings.TrimLeft(v, digitChars)
	if len(rest) == len(v) || rest == "" || rest[0] != '*' {
		return false
	}
	rest = strings.TrimLeft(rest[1:], digitChars)
	return rest != "" && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-()") == ""
}

const digitChars = "0123456789"
