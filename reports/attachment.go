package reports

import (
	"io/fs"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// Attachment is a file or an address that belongs to the result of a spec, such as a screenshot. Its
// content is never kept.
type Attachment struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"` // media type, such as "image/png"; "" if unknown
	Path string `json:"path,omitempty"` // file below the root of the module, with slashes, or an address of the web; "" if it has neither
}

// MaxAttachments is the maximum number of attachments of a spec.
const MaxAttachments = 20

// File returns the path of an attached file, relative to the root of the module, with slashes. It is
// "" unless the path is certainly that of a file below the root: paths come from the tests.
func (a *Attachment) File() string {
	if !fs.ValidPath(a.Path) || !filepath.IsLocal(filepath.FromSlash(a.Path)) || a.Path == "." || Scheme(a.Path) != "" || a.Path != Visible(a.Path) {
		return ""
	}
	return a.Path
}

// URL returns the address of an attachment on the web, or "" for other attachments.
func (a *Attachment) URL() string { return WebAddress(a.Path) }

// Safe returns a copy whose path is that of [Attachment.File] or [Attachment.URL], or "".
func (a Attachment) Safe() Attachment {
	if a.File() == "" && a.URL() == "" {
		a.Path = ""
	}
	return a
}

var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// Scheme returns what a browser takes for the scheme of an address, such as "javascript:", or "".
func Scheme(s string) string { return strings.ToLower(scheme.FindString(s)) }

// WebAddress returns an address that a page may link to: one of HTTP or HTTPS, without a password.
// It returns "" for other addresses.
func WebAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" || s != Visible(s) {
		return ""
	}
	return s
}
