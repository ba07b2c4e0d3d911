package cassette

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/stubs/redact"
)

// format is the version of the file. A cassette is JSON Lines: the header, and then
// the interactions in the order of kind, name, path, key and number, so that a new
// recording changes the lines of what has changed.
const format = 1

// mostFile is the most bytes of a file that are read.
const mostFile = 256 << 20

type header struct {
	Format int `json:"flujo_cassette"`
	matching
}

const (
	agentKind = "agent"
	httpKind  = "http"
)

// interaction is a line: one request with its answer.
type interaction struct {
	Key      string          `json:"key"` // hash of kind, name, path, input and feedback
	Kind     string          `json:"kind"`
	Name     string          `json:"name"` // of the agent; method and URL
	Path     string          `json:"path"`
	N        int             `json:"n"` // from 1, of same requests of a run and step
	Input    json.RawMessage `json:"input"`
	Feedback string          `json:"feedback,omitempty"`
	Output   json.RawMessage `json:"output,omitempty"`
	Error    *failure        `json:"error,omitempty"`
	Recorded string          `json:"recorded,omitempty"` // day, see MaxAge
}

// plain is a tree of canonical JSON in which all redactions look the same: which
// rule found a secret may depend on what was known by then.
func plain(data []byte, ignore []string) any {
	tree, err := parse([]byte(redact.Unnamed(string(data))))
	if err != nil {
		return nil
	}
	return without(tree, ignore)
}

// request is what is asked, for the key and for differences.
func (q *interaction) request(m matching) any {
	tree := map[string]any{"input": plain(q.Input, m.Ignore)}
	if q.Feedback != "" {
		tree["feedback"] = redact.Unnamed(q.Feedback)
	}
	return m.request(q.Kind, tree)
}

// answer is what came of it, for differences.
func (q *interaction) answer(ignore []string) any {
	switch {
	case q.Error == nil:
		return map[string]any{"output": plain(q.Output, ignore)}
	case q.Error.Timeout:
		return map[string]any{"timeout": redact.Unnamed(q.Error.Text)}
	}
	return map[string]any{"error": redact.Unnamed(q.Error.Text)}
}

func (q *interaction) hash(m matching) string {
	return fmt.Sprintf("%x", sha256.Sum256(canonical([]any{q.Kind, m.name(q.Name), q.Path, q.request(m)})))
}

// redact takes the secrets out of an interaction.
func (c *Cassette) redact(q *interaction) {
	if q.Kind == httpKind {
		q.Name = c.red.Field("id", q.Name) // a path is no random text
	}
	q.Feedback = c.red.Text(q.Feedback)
	q.Input = c.redactJSON(q.Input)
	if q.Error != nil {
		q.Error = &failure{Text: c.red.Text(q.Error.Text), Timeout: q.Error.Timeout, Codes: q.Error.Codes}
	}
	if q.Output != nil {
		q.Output = c.redactJSON(q.Output)
	}
}

// redactJSON is data without its secrets, in canonical form. Of a response that came as
// events, what they say together is looked at first.
func (c *Cassette) redactJSON(data []byte) []byte {
	tree, err := parse(data)
	if err != nil { // not from a marshaller: nothing of it may be written
		return []byte("null")
	}
	if answer, ok := tree.(map[string]any); ok {
		if chunks, ok := answer["chunks"].([]any); ok {
			deltas(c.red, chunks)
		}
	}
	if tree, err = parse(c.red.JSON(canonical(tree))); err != nil {
		return []byte("null")
	}
	return canonical(tree)
}

// load reads the file.
func (c *Cassette) load() error {
	if info, err := os.Stat(c.file); err == nil && info.Size() > mostFile {
		return c.bad(0, "it has more than %d MiB: record fewer runs into one cassette", mostFile>>20)
	}
	data, err := os.ReadFile(c.file)
	if errors.Is(err, os.ErrNotExist) {
		return c.bad(0, "%w: record it first: run once in mode cassette.Record with the real agent", err)
	}
	if err != nil {
		return c.bad(0, "read: %w", err)
	}
	return c.read(data)
}

// read takes in a file. Its requests are redacted once more and keyed by the options
// of today: a new rule or ignored field needs no new recording.
func (c *Cassette) read(data []byte) error {
	if len(data) == 0 {
		return c.bad(0, "the file is empty: record it again")
	}
	if len(data) > mostFile {
		return c.bad(0, "it would have more than %d MiB: record fewer runs into one cassette", mostFile>>20)
	}
	if line := c.leak(data); line > 0 {
		return c.bad(line, "it holds a value that was given to Secrets: take that secret out of use, and record again")
	}
	whole := bytes.HasSuffix(data, []byte("\n"))
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	var h header
	for i, line := range lines {
		at := i + 1
		var q interaction
		var err error
		if i == 0 {
			err = c.readHeader(line, &h)
		} else {
			err = c.readLine(line, at, h, &q)
		}
		if i == len(lines)-1 && !whole && errors.Is(err, io.ErrUnexpectedEOF) {
			return c.bad(at, "the last line is cut off: the file was not copied or written as a whole; restore it or record again")
		}
		if err != nil {
			return err
		}
		if i == 0 {
			continue
		}
		if err := c.tooOld(&q, at); err != nil {
			return err
		}
		output, failed := q.Output, q.Error // stay as they are
		q.Output, q.Error = nil, nil
		c.redact(&q)
		t := &track{interaction: q, line: at, at: slot{q.hash(c.match), q.N}}
		t.Output, t.Error = output, failed
		if twin := c.tracks[t.at]; twin != nil {
			return c.bad(at, "duplicate key: the same request, %s, number %d, is in line %d: keep one of them, or record again", q.what(), q.N, twin.line)
		}
		c.tracks[t.at] = t
	}
	return nil
}

func (c *Cassette) readHeader(line []byte, h *header) error {
	var any struct {
		Format *int `json:"flujo_cassette"`
	}
	switch err := json.Unmarshal(line, &any); {
	case err != nil:
		return c.bad(1, "no header of a cassette: %w", err)
	case any.Format == nil || *any.Format < 1:
		return c.bad(1, `no header of a cassette: it begins with {"flujo_cassette":%d}`, format)
	case *any.Format > format:
		return c.bad(1, "written by a newer version: its format is %d, this version reads %d: update flujo-harness", *any.Format, format)
	}
	if err := c.strict(line, 1, h); err != nil {
		return err
	}
	if h.Compare && c.match.compare == nil {
		return c.bad(1, "it was recorded with Compare: open it with the same function")
	}
	return nil
}

// strict decodes exactly one JSON value with known fields.
func (c *Cassette) strict(line []byte, at int, v any) error {
	if _, err := parse(line); err != nil {
		return c.bad(at, "not one JSON value: %w", err)
	}
	if name, found := doubled(line); found {
		return c.bad(at, "duplicate key: an object has %q twice: keep one of them, or record again", name)
	}
	if err := decode(line, v); err != nil {
		return c.bad(at, "not as this version writes it: %w", err)
	}
	return nil
}

func (c *Cassette) readLine(line []byte, at int, h header, q *interaction) error {
	if err := c.strict(line, at, q); err != nil {
		return err
	}
	switch {
	case q.Kind != agentKind && q.Kind != httpKind:
		return c.bad(at, "kind %q: this version knows %q and %q", q.Kind, agentKind, httpKind)
	case q.N < 1:
		return c.bad(at, "n is %d: the first same request is 1", q.N)
	case q.Input == nil:
		return c.bad(at, "it has no input")
	case (q.Output == nil) == (q.Error == nil):
		return c.bad(at, "it needs either an output or an error")
	}
	if q.Kind == httpKind && q.Output != nil {
		if err := c.strict(q.Output, at, new(response)); err != nil {
			return err
		}
	}
	m := h.matching
	if m.Compare {
		m.compare = c.match.compare
	}
	if key := q.hash(m); key != q.Key {
		return c.bad(at, "the key is not that of the request: name, path, input or feedback was edited: record again, or, if the edit is meant, set the key to %s", key)
	}
	return nil
}

// leak is the first line that holds a value of Secrets, in any form.
func (c *Cassette) leak(data []byte) int {
	first := 0
	for _, s := range c.told {
		for _, form := range forms(s) {
			if i := bytes.Index(data, []byte(form)); i >= 0 {
				if line := bytes.Count(data[:i], []byte("\n")) + 1; first == 0 || line < first {
					first = line
				}
			}
		}
	}
	return first
}

// forms is how a secret may look in the file: as it is, in JSON, in a URL, and in
// base64 from each of the three places it can have in there.
func forms(s string) []string {
	inJSON := string(canonical(s))
	out := []string{s, inJSON[1 : len(inJSON)-1], url.QueryEscape(s), url.PathEscape(s)}
	for skip := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			whole := (skip + len(s)) / 3 * 3 // the bytes whose characters do not depend on what follows
			text := enc.EncodeToString([]byte(strings.Repeat("\x00", skip) + s)[:whole])
			if text = text[min(len(text), (skip*8+5)/6):]; len(text) >= 8 {
				out = append(out, text)
			}
		}
	}
	return out
}

// makeFolder finds out before anything is paid for whether the file can be written.
func (c *Cassette) makeFolder() error {
	if info, err := os.Stat(c.file); err == nil && !info.Mode().IsRegular() {
		return c.bad(0, "it is not a file")
	}
	if err := os.MkdirAll(filepath.Dir(c.file), 0o777); err != nil {
		return c.bad(0, "make its folder: %w", err)
	}
	return nil
}

// store writes what was recorded, and names the calls that have not ended. mu is held.
func (c *Cassette) store() (busy []string, err error) {
	tracks := slices.SortedFunc(maps.Values(c.tracks), func(a, b *track) int { return cmp.Or(a.at.n-b.at.n, a.seq-b.seq, a.line-b.line) })
	count := map[string]int{}
	var list []interaction
	var lives []*track // of list
	for _, t := range tracks {
		q := t.interaction
		if q.Output == nil && q.Error == nil {
			what := q.what()
			if t.body != nil {
				what += ", whose response body is open"
				delete(c.open, t.body)
			}
			busy = append(busy, what)
			continue
		}
		c.redact(&q) // also what became known later
		if t.line == 0 {
			lives = append(lives, t)
			if c.age > 0 {
				q.Recorded = c.today.Format(time.DateOnly)
			}
		}
		q.Key = q.hash(c.match)
		count[q.Key]++ // anew: two requests may have become the same
		q.N = count[q.Key]
		list = append(list, q)
		t.key = slot{q.Key, q.N}
	}
	switch err := c.wouldDrop(list); {
	case err != nil:
		return nil, err
	case c.mode == Add && len(lives) == 0:
		return busy, nil // all of it was there
	}
	if len(list) == 0 {
		return nil, c.bad(0, "nothing was recorded, and nothing written: no recorded agent was called to its end")
	}
	slices.SortFunc(list, func(a, b interaction) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Key, b.Key), a.N-b.N)
	})
	data := append(canonical(header{format, c.match}), '\n')
	for _, q := range list {
		data = append(append(data, canonical(q)...), '\n')
	}
	if line := c.leak(data); line > 0 {
		return nil, c.bad(line, "not written: this line would hold a value that was given to Secrets, in the name, the path or a binary body of %s", list[max(line-2, 0)].what())
	}
	check := &Cassette{file: c.file, red: c.red, match: c.match, tracks: map[slot]*track{}}
	if err := check.read(data); err != nil {
		return nil, fmt.Errorf("not written, since it could not be read again: %w", err)
	}
	if err := c.replace(data); err != nil {
		return busy, err
	}
	lines := map[slot]int{}
	for i, q := range list {
		lines[slot{q.Key, q.N}] = i + 2
	}
	c.wrong = nil
	for _, t := range lives {
		q := t.interaction
		c.redact(&q)
		c.wrong = append(c.wrong, alteredPlaces(&q, t.live, t.err, true, lines[t.key])...)
	}
	slices.SortStableFunc(c.wrong, func(a, b Altered) int { return a.Line - b.Line })
	return busy, nil
}

// replace puts data in the place of the file, or leaves it as it is.
func (c *Cassette) replace(data []byte) (err error) {
	defer func() {
		if err != nil {
			err = c.bad(0, "not written, the file is as it was: %w: Close can be called again", err)
		}
	}()
	path, perm := c.file, os.FileMode(0o644)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil {
		perm = info.Mode().Perm()
	}
	removeAbandoned(filepath.Dir(path), time.Now())
	f, err := os.CreateTemp(filepath.Dir(path), newFile)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// newFile begins the name of what replace writes before it puts it in the place of a cassette.
const newFile = ".cassette-"

// removeAbandoned removes the new files of processes that were killed while they wrote one:
// those that nobody has written to for an hour. What cannot be removed is left to the next.
func removeAbandoned(dir string, now time.Time) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), newFile) {
			continue
		}
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
