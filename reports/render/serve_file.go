package render

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// shownTypes contains the media types of attached files that the browser may show. It downloads other
// files: a test may have written a page with a script, which would run with the origin of the server.
var shownTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".webm": "video/webm", ".mp4": "video/mp4",
	".txt": "text/plain", ".log": "text/plain", ".md": "text/plain", ".csv": "text/plain", ".json": "text/plain", ".xml": "text/plain",
}

// fileAddress returns the address of a file that is attached to a spec of a run.
func (l *Live) fileAddress(run int64) func(file string) string {
	return func(file string) string {
		return l.Prefix + "/file/" + strconv.FormatInt(run, 10) + "/" + (&url.URL{Path: file}).EscapedPath()
	}
}

// file serves an attached file, named "RUN/PATH". It serves only files that are attached to specs of
// the run and that are in the module; symbolic links that lead outside are not followed.
func (l *Live) file(w http.ResponseWriter, r *http.Request, at string) {
	run, file, _ := strings.Cut(at, "/")
	id, err := strconv.ParseInt(run, 10, 64)
	if err != nil || id < 1 {
		http.NotFound(w, r)
		return
	}
	a, err := l.Analyze(r.Context(), id, "")
	if err != nil {
		refuse(w, err)
		return
	}
	named := a.Run.Suites != nil && slices.ContainsFunc(a.Run.Suites.Specs, func(s reports.Spec) bool {
		return slices.ContainsFunc(s.Attachments, func(one reports.Attachment) bool { return one.File() == file && file != "" })
	})
	files := openAttached(a)
	defer files.close()
	if !named || files.root == nil {
		http.NotFound(w, r)
		return
	}
	content, err := files.root.Open(filepath.FromSlash(file))
	if errors.Is(err, os.ErrNotExist) {
		http.Error(w, "this file no longer exists", http.StatusNotFound)
		return
	}
	if err != nil {
		http.NotFound(w, r) // a link that leads outside, or an unreadable file
		return
	}
	defer content.Close()
	info, err := content.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	h, kind := w.Header(), shownTypes[strings.ToLower(path.Ext(file))]
	if kind == "" {
		kind = "application/octet-stream"
		h.Set("Content-Disposition", "attachment")
	}
	if kind == "text/plain" {
		kind += "; charset=utf-8"
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	http.ServeContent(w, r, "", info.ModTime(), content)
}
