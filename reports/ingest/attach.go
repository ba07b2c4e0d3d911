package ingest

import (
	"io/fs"
	"mime"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// Bounds on the texts of an attachment: runes of a name, bytes of a path or an address.
const maxAttachmentName, maxAttachmentPath = 120, 1024

// maxLookups is the maximum number of files that are looked for while one file of results is read.
const maxLookups = 50_000

// attachments collects what a file of results attaches to its tests. Nothing is read of an attached
// file.
type attachments struct {
	root    *os.Root // nil: unknown, or not opened yet
	opened  bool
	bases   []string // folders below the root that a relative path may start from, the likeliest first
	lookups int

	inline, outside, beyond int // those without a path; outside of the module; more than a test may have
}

// attach appends an attachment. A location is a path, a folder, whose files it stands for, or an
// address.
func (c *collector) attach(all []reports.Attachment, name, mediaType, location string) []reports.Attachment {
	f := &c.files
	f.open(c.root)
	location = strings.TrimSpace(location)
	if location == "" {
		f.inline++
		return all
	}
	file, web, ok := c.located(location)
	one := reports.Attachment{Name: strings.TrimSpace(name), Type: mediaTypeOf(mediaType, location), Path: file + web}
	if one.Name == "" {
		one.Name = path.Base(strings.ReplaceAll(location, `\`, "/"))
	}
	one.Name = text.Cut(one.Name, maxAttachmentName)
	if !ok {
		f.outside++
		one.Path = ""
	}
	parts := []reports.Attachment{one}
	if file != "" {
		if below, folder := f.below(file); folder {
			parts = parts[:0]
			for _, name := range below {
				parts = append(parts, reports.Attachment{Name: text.Cut(name, maxAttachmentName), Type: mediaTypeOf("", name), Path: path.Join(file, name)})
			}
		}
	}
	for _, one := range parts {
		switch {
		case slices.Contains(all, one):
		case len(all) >= reports.MaxAttachments:
			f.beyond++
		default:
			all = append(all, one)
		}
	}
	return all
}

// bothAttached are the attachments of two results of one test.
func bothAttached(a, b []reports.Attachment) []reports.Attachment {
	for _, one := range b {
		if !slices.Contains(a, one) && len(a) < reports.MaxAttachments {
			a = append(a[:len(a):len(a)], one)
		}
	}
	return a
}

// located returns a location as a file below the root or as an address of the web. ok is false if it
// is neither.
func (c *collector) located(location string) (file, web string, ok bool) {
	if location == "" || len(location) > maxAttachmentPath {
		return "", "", false
	}
	switch scheme := reports.Scheme(location); {
	case scheme == "http:" || scheme == "https:":
		web = reports.WebAddress(location)
		return "", web, web != ""
	case scheme == "file:":
		u, err := url.Parse(location)
		if err != nil || u.Host != "" {
			return "", "", false
		}
		location = filepath.FromSlash(u.Path)
	case scheme != "" && !filepath.IsAbs(location): // a drive is no scheme where there are drives
		return "", "", false
	}
	if filepath.IsAbs(location) {
		location = c.relative(location)
	} else {
		location = c.files.base(strings.ReplaceAll(location, `\`, "/"))
	}
	one := reports.Attachment{Path: location}
	return one.File(), "", one.File() != ""
}

// base returns a relative path from the root. It may be relative to the folder of the results, as
// most runners write it, to one above or to the root.
func (f *attachments) base(name string) string {
	for i, base := range f.bases {
		if file := path.Join(base, name); f.stat(file) != nil {
			f.bases[0], f.bases[i] = f.bases[i], f.bases[0]
			return file
		}
	}
	return path.Clean(name)
}

func (f *attachments) open(root string) {
	if !f.opened && root != "" {
		f.root, _ = os.OpenRoot(root) // without it no file is looked for
	}
	f.opened = true
}

// stat returns nil if there is no such file below the root.
func (f *attachments) stat(file string) fs.FileInfo {
	if f.lookups++; f.root == nil || f.lookups > maxLookups || !filepath.IsLocal(filepath.FromSlash(file)) {
		return nil
	}
	info, err := f.root.Stat(filepath.FromSlash(file))
	if err != nil {
		return nil
	}
	return info
}

// below lists the files of a folder below the root, the first [reports.MaxAttachments].
func (f *attachments) below(folder string) (files []string, isFolder bool) {
	info := f.stat(folder)
	if info == nil || !info.IsDir() {
		return nil, false
	}
	_ = fs.WalkDir(f.root.FS(), folder, func(name string, d fs.DirEntry, err error) error { // what cannot be read is not there
		switch f.lookups++; {
		case f.lookups > maxLookups || len(files) > reports.MaxAttachments:
			return fs.SkipAll
		case err == nil && d.Type().IsRegular():
			files = append(files, strings.TrimPrefix(name, folder+"/"))
		}
		return nil
	})
	return files, true
}

// from sets the folder of the file of results.
func (f *attachments) from(root, folder string) {
	f.bases = []string{"."}
	folder, err := filepath.Abs(folder)
	if err != nil || root == "" {
		return
	}
	rel, err := filepath.Rel(root, folder)
	if err != nil || !filepath.IsLocal(rel) {
		return
	}
	f.bases = nil
	for at := filepath.ToSlash(rel); at != "."; at = path.Dir(at) {
		f.bases = append(f.bases, at)
	}
	f.bases = append(f.bases, ".")
}

func (f *attachments) close() {
	if f.root != nil {
		_ = f.root.Close() // nothing was written
	}
}

// noteAttachments reports what was not kept of attachments.
func (c *collector) noteAttachments() {
	f := &c.files
	if f.inline > 0 {
		c.note("attachments of tests without a path, which were ignored: %d", f.inline)
	}
	if f.outside > 0 {
		c.note("attachments of tests outside of the module, of which only the name was kept: %d", f.outside)
	}
	if f.beyond > 0 {
		c.note("attachments of tests that were ignored: %d; at most %d are kept per test", f.beyond, reports.MaxAttachments)
	}
}

// mediaTypes by the extension of a file: that of the system differs from machine to machine.
var mediaTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".svg": "image/svg+xml",
	".webm": "video/webm", ".mp4": "video/mp4", ".txt": "text/plain", ".log": "text/plain", ".md": "text/markdown", ".csv": "text/csv",
	".html": "text/html", ".json": "application/json", ".xml": "application/xml", ".pdf": "application/pdf", ".zip": "application/zip", ".gz": "application/gzip",
}

// mediaTypeOf is what a file of results says of an attachment, else what its name says.
func mediaTypeOf(said, location string) string {
	if kind, _, err := mime.ParseMediaType(said); err == nil && len(kind) <= maxAttachmentName && strings.Contains(kind, "/") {
		return kind
	}
	return mediaTypes[strings.ToLower(path.Ext(location))]
}
