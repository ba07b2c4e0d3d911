package compare

import (
	"regexp"
	"strings"
)

// selection is one alternative of a -bench pattern.
type selection struct {
	function *regexp.Regexp
	parts    string // patterns of sub-benchmarks, each after a slash; "" means all
}

// selections parses a pattern as go test does: alternatives are separated by | and have elements
// separated by slashes; separators in brackets or parentheses do not count. The first element may
// omit "Benchmark".
func selections(pattern string) (all []selection, err error) {
	for _, alternative := range split(pattern, '|') {
		first, rest, _ := strings.Cut(strings.Join(split(alternative, '/'), "\x00"), "\x00")
		s := selection{}
		if s.function, err = regexp.Compile(first); err != nil {
			return nil, err
		}
		if rest != "" {
			s.parts = "/" + strings.ReplaceAll(rest, "\x00", "/")
			for part := range strings.SplitSeq(rest, "\x00") {
				if _, err := regexp.Compile(part); err != nil {
					return nil, err
				}
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// split splits at separators outside of brackets and parentheses.
func split(pattern string, separator byte) (parts []string) {
	brackets, parens, from := 0, 0, 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case c == '[':
			brackets++
		case c == ']':
			brackets = max(0, brackets-1)
		case c == '(' && brackets == 0:
			parens++
		case c == ')' && brackets == 0:
			parens--
		case c == separator && brackets == 0 && parens == 0:
			parts = append(parts, pattern[from:i])
			from = i + 1
		}
	}
	return append(parts, pattern[from:])
}

// match returns the -test.bench pattern for the selected benchmarks of a function, or "" if there
// are none.
func match(selected []selection, function string) string {
	var all []string
	for _, s := range selected {
		if s.function.MatchString(function) || s.function.MatchString(strings.TrimPrefix(function, "Benchmark")) {
			if s.parts == "" {
				return "^" + function + "$"
			}
			all = append(all, "^"+function+"$"+s.parts)
		}
	}
	return strings.Join(all, "|")
}

// skips reports whether a -skip pattern excludes a function with all its sub-benchmarks.
func skips(pattern, function string) bool {
	if pattern == "" {
		return false
	}
	all, err := selections(pattern)
	if err != nil {
		return false // check has reported it
	}
	for _, s := range all {
		if s.parts == "" && s.function.MatchString(function) {
			return true
		}
	}
	return false
}
