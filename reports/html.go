package reports

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
)

//go:embed page.html.tmpl
var templates embed.FS

var pageTemplate = template.Must(template.New("page.html.tmpl").ParseFS(templates, "page.html.tmpl"))

// Render writes the run as one page that stands alone: no script, no network, nothing
// beside it; it can be mailed, archived and printed. earlier are runs of the same
// history in any order, for the comparison and the trend; the run itself and later
// ones among them are left out. Nothing is written when the page cannot be made.
func Render(w io.Writer, run Run, earlier []Run) error {
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, newPage(run, earlier)); err != nil {
		return fmt.Errorf("render report: %w", err)
	}
	if _, err := w.Write(page.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// WriteReport renders the run into index.html of the folder dir, which is created
// where it is missing, and returns the path of the file. The page replaces an older
// one at once: whoever reads it sees one or the other, never half.
func WriteReport(dir string, run Run, earlier []Run) (path string, err error) {
	path = filepath.Join(dir, "index.html")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("write report: %w: name another folder", err)
	}
	f, err := os.CreateTemp(dir, ".index-*.html")
	if err != nil {
		return "", fmt.Errorf("write report: %w: name another folder", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error is the one to tell
		}
	}()
	if err := errors.Join(Render(f, run, earlier), f.Chmod(0o644), f.Close()); err != nil {
		return "", err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	return path, nil
}
