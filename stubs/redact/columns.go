package redact

import "strings"

// longestRow bounds a row of a table and the columns of a statement, in bytes.
const longestRow = 1024

// insert looks at INSERT INTO t (columns) VALUES (row), (row): at to end is the word INSERT.
func (sc *scanner) insert(at, end int) {
	s := sc.s
	if w := s[at:end]; len(w) != 6 || !strings.EqualFold(w, "insert") && !strings.EqualFold(w, "upsert") || end+6 > len(s) || !strings.EqualFold(s[end:end+6], " into ") {
		return
	}
	head := s[end:min(len(s), end+longestRow)]
	sc.r.work.add(len(head))
	open := strings.IndexByte(head, '(')
	if open < 0 || strings.Contains(head[:open], "\"\n") {
		return
	}
	close := strings.IndexByte(head[open:], ')')
	if close < 0 {
		return
	}
	secret, any := map[int]kind{}, false
	for i, column := range strings.Split(head[open+1:open+close], ",") {
		if secret[i] = sc.columnKind(column); secret[i] != noSecret {
			any = true
		}
	}
	v := skipSpace(s, end+open+close+1)
	if !any || v+6 > len(s) || !strings.EqualFold(s[v:v+6], "values") {
		return
	}
	at = skipSpace(s, v+6)
	for at < len(s) && s[at] == '(' {
		cells, to := sc.callArgs(at + 1)
		for i, c := range cells {
			if k := secret[i]; k != noSecret && c.to > c.from {
				sc.cell(c.from, c.to)
			}
		}
		if at = to; at >= len(s) || s[at] != ')' {
			return
		}
		if at = skipSpace(s, at+1); at >= len(s) || s[at] != ',' {
			return
		}
		at = skipSpace(s, at+1)
	}
}

// columnKind is classify for the name of a column: the hash of a password counts as one.
func (sc *scanner) columnKind(column string) kind {
	name := strings.Trim(column, " \t\r\n\"`'[]*")
	if k := sc.r.classify(name); k != noSecret {
		return k
	}
	for _, end := range []string{"_hash", "_digest", "Hash", "_enc", "_encrypted"} {
		if before, ok := strings.CutSuffix(name, end); ok && sc.r.classify(before) == password {
			return password
		}
	}
	return noSecret
}

// cell marks a value of a column that holds secrets.
func (sc *scanner) cell(from, to int) {
	if v := sc.s[from:to]; len(v) >= 3 && !isPlaceholder(v) && !IsMarker(v) && !isWord(v) && !isComplaint(v) && !strings.Contains(v, "[redacted") {
		sc.later(from, to, "field")
	}
}

// rows looks at the tables of a text: a line of names, at least one of which is the name of a
// secret, and below it lines with as many columns. Commas, semicolons, tabs and "|" separate columns.
func (sc *scanner) rows() {
	s := sc.s
	if !strings.Contains(s, "\n") && !strings.Contains(s, "|") {
		return
	}
	sc.r.work.add(len(s))
	var secret map[int]bool // columns, while the lines are rows of a table
	var sep byte
	columns := 0
	for from := 0; from < len(s); {
		to := upTo(s, from, "\n")
		line := s[from:to]
		switch {
		case len(line) > longestRow:
			secret = nil
		case secret != nil && (strings.Count(line, string(sep)) == columns-1):
			sc.row(from, to, sep, secret)
		case secret != nil && strings.Trim(line, " -+|:=\r") == "" && line != "":
		default:
			if secret, sep, columns = sc.heads(line); strings.HasPrefix(line, "|") && !strings.HasPrefix(s[to:], "\n|-") && !strings.HasPrefix(s[to:], "\n+-") {
				sc.pairRow(from, to)
			}
		}
		from = to + 1
	}
}

// heads reads a line as the names of columns.
func (sc *scanner) heads(line string) (secret map[int]bool, sep byte, columns int) {
	line = strings.TrimRight(line, "\r")
	if len(line) < 4 || !mayBeSecret(line) {
		return nil, 0, 0
	}
	for _, c := range []byte("|,;\t") {
		if columns = strings.Count(line, string(c)) + 1; columns < 2 {
			continue
		}
		if columns > 64 {
			return nil, 0, 0
		}
		for i, name := range strings.Split(line, string(c)) {
			name = strings.Trim(name, " \"")
			if name == "" && c == '|' {
				continue
			}
			if name == "" || strings.Trim(name, alphanumeric+"_- ") != "" || strings.Count(name, " ") > 1 {
				return nil, 0, 0
			}
			if k := sc.columnKind(name); k != noSecret && k != opaque {
				if secret == nil {
					secret = map[int]bool{}
				}
				secret[i] = true
			}
		}
		return secret, c, columns
	}
	return nil, 0, 0
}

// row marks the cells of a row that are in columns of secrets.
func (sc *scanner) row(from, to int, sep byte, secret map[int]bool) {
	s := sc.s
	for i := 0; from <= to; i++ {
		end := min(upTo(s[:to], from, string(sep)), to)
		if secret[i] {
			a, b := trimmed(s, from, end)
			if a, b = unquoted(s, a, b); a < b && !strings.Contains(s[a:b], " ") && hasLetter(s[a:b]) {
				sc.cell(a, b)
			}
		}
		from = end + 1
	}
}

// pairRow looks at a line "| password | x |".
func (sc *scanner) pairRow(from, to int) {
	line := sc.s[from:to]
	if strings.Count(line, "|") != 3 {
		return
	}
	first := strings.IndexByte(line[1:], '|') + 1
	if sc.columnKind(line[1:first]) != password {
		return
	}
	if a, b := trimmed(sc.s, from+first+1, from+strings.LastIndexByte(line, '|')); a < b && sc.spoken(sc.s[a:b]) && !strings.Contains(sc.s[a:b], " ") {
		sc.cell(a, b)
	}
}
