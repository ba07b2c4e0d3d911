package sqlitedb

import "strings"

// fileURI returns the SQLite URI of the database file at path, an absolute path in the system's
// notation, with parameters such as "mode=ro".
//
// The path follows "file:" directly. After "file://" SQLite expects an authority and would take
// the drive letter of C:\runs.db for one. Every byte outside a URI's unreserved set is escaped,
// including the backslash, because Windows paths that start with `\\?\` allow no other
// separator. SQLite decodes the escapes and passes the same bytes to the system.
//
// See https://www.sqlite.org/uri.html.
func fileURI(path string, parameters ...string) string {
	const hex = "0123456789ABCDEF"
	var uri strings.Builder
	uri.Grow(len("file:") + len(path) + 32)
	uri.WriteString("file:")
	if strings.HasPrefix(path, "//") { // an empty authority, so that SQLite does not take the first name for one
		uri.WriteString("//")
	}
	for i := range len(path) {
		c := path[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("/:-._~", c) >= 0:
			uri.WriteByte(c)
		default:
			uri.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
		}
	}
	for i, p := range parameters {
		uri.WriteByte("?&"[min(i, 1)])
		uri.WriteString(p)
	}
	return uri.String()
}
