package render

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
)

//go:embed page.html.tmpl repositories.html.tmpl panels.html.tmpl page.css page.js specs.js spec.js
var templates embed.FS

// pageTemplate is parsed lazily: most commands write no page, and every session of a measurement
// is a process of this program, which should start quickly.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page.html.tmpl").ParseFS(templates, "page.html.tmpl", "repositories.html.tmpl", "panels.html.tmpl", "page.css", "page.js", "specs.js", "spec.js"))
})

// The one style and the one script that a page may have, as its policy names them.
var (
	styleSource  = sync.OnceValue(func() string { return sourceOf("style") })
	scriptSource = sync.OnceValue(func() string { return sourceOf("script") })
)

// sourceOf hashes an element as the template engine writes it, which may be without its comments.
func sourceOf(element string) string {
	var text bytes.Buffer
	if err := pageTemplate().ExecuteTemplate(&text, element, nil); err != nil {
		panic(err) // the template is part of the program
	}
	inner := regexp.MustCompile(`(?s)^\s*<` + element + `>(.*)</` + element + `>\s*$`).FindSubmatch(text.Bytes())
	sum := sha256.Sum256(inner[1])
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// policy returns the Content-Security-Policy of a page: it forbids everything except one style and
// one script, by their hashes, and requests of a live page to its own server.
func policy(live bool) string {
	p := "default-src 'none'; style-src " + styleSource() + "; script-src " + scriptSource() + "; img-src data:; base-uri 'none'; form-action 'none'"
	if live {
		p += "; connect-src 'self'"
	}
	return p
}

// Render writes the analysis as one self-contained page, which needs no network and no other files:
// it can be mailed, archived, printed, and read without JavaScript. If the page cannot be created,
// nothing is written.
func Render(w io.Writer, a *analysis.Analysis) error { return render(w, newPage(a, attachedFiles{})) }

// RenderIn is [Render] for a page in a folder, from which attached files are linked.
func RenderIn(folder string, w io.Writer, a *analysis.Analysis) error {
	files := filesFrom(a, folder)
	defer files.close()
	return render(w, newPage(a, files))
}

func render(w io.Writer, p page) error {
	var text bytes.Buffer
	if err := pageTemplate().Execute(&text, p); err != nil {
		return fmt.Errorf("render report: %w", err)
	}
	if _, err := w.Write(plainASCII(text.Bytes())); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// plainASCII replaces characters beyond ASCII by references: a browser needs half the memory for a
// page in ASCII, and two thirds of the time to parse it. A page with many such characters is
// unchanged, because references are longer. Scripts and styles must not contain such characters,
// since references do not work in them.
func plainASCII(page []byte) []byte {
	const most = 50 // bytes of ASCII for each other byte
	others := 0
	for _, b := range page {
		if b >= utf8.RuneSelf {
			others++
		}
	}
	if others == 0 || others*most > len(page) {
		return page
	}
	var b bytes.Buffer
	b.Grow(len(page) + 4*others)
	for i := 0; i < len(page); {
		if page[i] < utf8.RuneSelf {
			b.WriteByte(page[i])
			i++
			continue
		}
		r, size := utf8.DecodeRune(page[i:])
		fmt.Fprintf(&b, "&#%d;", r)
		i += size
	}
	return b.Bytes()
}

// Policy returns the policy for the template.
func (p page) Policy() string { return policy(p.Live != "") }

// messagesDir is the folder, next to the page, for messages that are too long for it.
const messagesDir = "messages"

var messageName = regexp.MustCompile(`^[0-9a-f]{16}\.txt$`)

// WriteReport writes the page into index.html of the folder dir, which it creates if necessary, and
// returns the path of the file. It replaces an older page atomically. Messages too long for the page
// are written completely into files next to it, named by a hash; those of an older page are removed.
// Nothing is written outside of dir, regardless of the names of tests and of links in dir.
func WriteReport(dir string, a *analysis.Analysis) (string, error) {
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("write report: %w: name another folder", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fail(err)
	}
	defer root.Close()
	files := filesFrom(a, dir)
	defer files.close()
	p, full := newPage(a, files), map[string]string{}
	for i, t := range a.Attention[:min(len(a.Attention), maxAttention)] {
		if whole := reports.VisibleBlock(strings.TrimSpace(t.Message)); utf8.RuneCountInString(whole) > maxShown {
			name := path.Join(messagesDir, specID(t.Spec)+".txt")
			full[name] = whole + "\n"
			if i < maxUnfolded {
				p.Attention[i].Full = name
			} else {
				p.Folded[i-maxUnfolded].Full = name
			}
		}
	}
	if err := writeMessages(root, full); err != nil {
		return fail(err)
	}
	var text bytes.Buffer
	if err := render(&text, p); err != nil {
		return "", err
	}
	if err := replace(root, "index.html", text.Bytes()); err != nil {
		return fail(err)
	}
	return filepath.Join(dir, "index.html"), nil
}

// writeMessages writes the texts into files by name and removes those of an older page.
func writeMessages(root *os.Root, texts map[string]string) error {
	old, err := fs.ReadDir(root.FS(), messagesDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range old {
		if name := path.Join(messagesDir, e.Name()); messageName.MatchString(e.Name()) && texts[name] == "" {
			if err := root.Remove(name); err != nil {
				return err
			}
		}
	}
	if len(texts) == 0 {
		return nil
	}
	if err := root.MkdirAll(messagesDir, 0o755); err != nil {
		return err
	}
	for name, text := range texts {
		if err := replace(root, name, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// partName matches the temporary files of [replace].
var partName = regexp.MustCompile(`^\.\d+\.part$`)

// removeParts removes temporary files of killed processes: those older than an hour, which no
// process needs to write one.
func removeParts(root *os.Root, name string) {
	entries, err := fs.ReadDir(root.FS(), path.Dir(name))
	if err != nil {
		return // writing will fail, and say why
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), path.Base(name))
		if info, err := e.Info(); ours && err == nil && partName.MatchString(rest) && info.Mode().IsRegular() && time.Since(info.ModTime()) > time.Hour {
			_ = root.Remove(path.Join(path.Dir(name), e.Name())) // or the next one will
		}
	}
}

// replace writes a file atomically.
func replace(root *os.Root, name string, data []byte) (err error) {
	removeParts(root, name)
	part := name + fmt.Sprintf(".%d.part", os.Getpid())
	f, err := root.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = root.Remove(part) // the first error is the cause
		}
	}()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return root.Rename(part, name)
}
