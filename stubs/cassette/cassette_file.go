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

// format is the version of the file format. A cassette is in JSON Lines: a header, then the
// interactions sorted by kind, name, path, key and number. Because of this order a new recording
// changes only the lines of interactions that changed.
const format = 1

// maxFile is the maximum size of a file, in bytes.
const maxFile = 256 << 20

type header struct {
	Format int `json:"flujo_cassette"`
	matching
}

const (
	agentKind = "agent"
	httpKind  = "http"
)

// interaction is a line of the file: a request and its answer.
type interaction struct {
	Key      string          `json:"key"` // hash of kind, name, path, input and feedback
	Kind     string          `json:"kind"`
	Name     string          `json:"name"` // name of the agent, or method and URL
	Path     string          `json:"path"` // path of the step
	N        int             `json:"n"`    // number among equal requests of a run and step, from 1
	Input    json.RawMessage `json:"input"`
	Feedback string          `json:"feedback,omitempty"`
	Output   json.RawMessage `json:"output,omitempty"`
	Error    *failure        `json:"error,omitempty"`
	Recorded string          `json:"recorded,omitempty"` // date, see MaxAge
}

// plain parses canonical JSON and makes all redaction markers equal: which rule found a secret may
// depend on the secrets known at that time.
func plain(data []byte, ignore []string) any {
	tree, err := parse([]byte(redact.Unnamed(string(data))))
	if err != nil {
		return nil
	}
	return without(tree, ignore)
}

// request returns the parts of the request that its key and its differences are computed from.
func (q *interaction) request(m matching) any {
	tree := map[string]any{"input": plain(q.Input, m.Ignore)}
	if q.Feedback != "" {
		tree["feedback"] = redact.Unnamed(q.Feedback)
	}
	return m.request(q.Kind, tree)
}

// answer returns the parts of the answer that are compared.
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

// redact replaces the secrets in an interaction.
func (c *Cassette) redact(q *interaction) {
	if q.Kind == httpKind {
		q.Name = c.red.Field("id", q.Name) // so that a path is not taken for a random token
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

// redactJSON returns data without its secrets, in canonical form. In a response of several events
// it first redacts secrets that are split between events.
func (c *Cassette) redactJSON(data []byte) []byte {
	tree, err := parse(data)
	if err != nil { // not valid JSON, so secrets cannot be found in it: write nothing
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
	if info, err := os.Stat(c.file); err == nil && info.Size() > maxFile {
		return c.bad(0, "the file is larger than %d MiB: record fewer runs into one cassette", maxFile>>20)
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

// read parses a file. It redacts its requests again and computes their keys with the current
// options, so that a new rule or ignored field requires no new recording.
func (c *Cassette) read(data []byte) error {
	if len(data) == 0 {
		return c.bad(0, "the file is empty: record it again")
	}
	if len(data) > maxFile {
		return c.bad(0, "the file would be larger than %d MiB: record fewer runs into one cassette", maxFile>>20)
	}
	if line := c.leak(data); line > 0 {
		return c.bad(line, "it contains a value that was given to Secrets: revoke that secret and record again")
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
			return c.bad(at, "the last line is cut off: the file was copied or written incompletely: restore it or record again")
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
		output, failed := q.Output, q.Error // unchanged: a replay returns what the file contains
		q.Output, q.Error = nil, nil
		c.redact(&q)
		t := &track{interaction: q, line: at, at: slot{q.hash(c.match), q.N}}
		t.Output, t.Error = output, failed
		if twin := c.tracks[t.at]; twin != nil {
			return c.bad(at, "duplicate key: request number %d of %s is also in line %d: keep one of them, or record again", q.N, q.what(), twin.line)
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
		return c.bad(1, "not the header of a cassette: %w", err)
	case any.Format == nil || *any.Format < 1:
		return c.bad(1, `not the header of a cassette, which begins with {"flujo_cassette":%d}`, format)
	case *any.Format > format:
		return c.bad(1, "written by a newer version: its format is %d, and this version reads up to %d: update flujo-harness", *any.Format, format)
	}
	if err := c.strict(line, 1, h); err != nil {
		return err
	}
	if h.Compare && c.match.compare == nil {
		return c.bad(1, "it was recorded with Compare: open it with the same function")
	}
	return nil
}

// strict decodes exactly one JSON value and rejects unknown and duplicate fields.
func (c *Cassette) strict(line []byte, at int, v any) error {
	if _, err := parse(line); err != nil {
		return c.bad(at, "not one JSON value: %w", err)
	}
	if name, found := doubled(line); found {
		return c.bad(at, "duplicate key: an object has %q twice: keep one of them, or record again", name)
	}
	if err := decode(line, v); err != nil {
		return c.bad(at, "not in the format of this version: %w", err)
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
		return c.bad(at, "n is %d: numbers of equal requests start at 1", q.N)
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
		return c.bad(at, "the key does not match the request: name, path, input or feedback was edited: record again, or, if the edit is intended, set the key to %s", key)
	}
	return nil
}

// leak returns the number of the first line that contains a value of Secrets in any of its forms,
// or 0.
func (c *Cassette) leak(data []byte) int {
	first := 0
	for _, s := range c.secrets {
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

// forms returns the encodings in which a secret may occur in the file: unchanged, in JSON, in a
// URL, and in base64, which depends on the position of the secret modulo 3.
func forms(s string) []string {
	inJSON := string(canonical(s))
	out := []string{s, inJSON[1 : len(inJSON)-1], url.QueryEscape(s), url.PathEscape(s)}
	for skip := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			whole := (skip + len(s)) / 3 * 3 // bytes whose encoding does not depend on the bytes after the secret
			text := enc.EncodeToString([]byte(strings.Repeat("\x00", skip) + s)[:whole])
			if text = text[min(len(text), (skip*8+5)/6):]; len(text) >= 8 {
				out = append(out, text)
			}
		}
	}
	return out
}

// makeFolder creates the folder of the file, so that a path that cannot be written is reported
// before any call is paid for.
func (c *Cassette) makeFolder() error {
	if info, err := os.Stat(c.file); err == nil && !info.Mode().IsRegular() {
		return c.bad(0, "it is not a regular file")
	}
	if err := os.MkdirAll(filepath.Dir(c.file), 0o777); err != nil {
		return c.bad(0, "make its folder: %w", err)
	}
	return nil
}

// store writes the recordings and returns descriptions of the calls that have not ended. mu is held.
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
		c.redact(&q) // again, for secrets that became known after it was recorded
		if t.line == 0 {
			lives = append(lives, t)
			if c.age > 0 {
				q.Recorded = c.today.Format(time.DateOnly)
			}
		}
		q.Key = q.hash(c.match)
		count[q.Key]++ // numbered again: redaction may have made two requests equal
		q.N = count[q.Key]
		list = append(list, q)
		t.key = slot{q.Key, q.N}
	}
	switch err := c.wouldDrop(list); {
	case err != nil:
		return nil, err
	case c.mode == Add && len(lives) == 0:
		return busy, nil // nothing is new
	}
	if len(list) == 0 {
		return nil, c.bad(0, "not written: nothing was recorded, because no call of a recorded agent ended")
	}
	slices.SortFunc(list, func(a, b interaction) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Key, b.Key), a.N-b.N)
	})
	data := append(canonical(header{format, c.match}), '\n')
	for _, q := range list {
		data = append(append(data, canonical(q)...), '\n')
	}
	if line := c.leak(data); line > 0 {
		return nil, c.bad(line, "not written: this line would contain a value that was given to Secrets, in the name, the path or a binary body of %s", list[max(line-2, 0)].what())
	}
	check := &Cassette{file: c.file, red: c.red, match: c.match, tracks: map[slot]*track{}}
	if err := check.read(data); err != nil {
		return nil, fmt.Errorf("not written, because it could not be read again: %w", err)
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

// replace replaces the file atomically: readers see either the old file or the new one. It writes
// a temporary file in the same folder, syncs it and renames it.
func (c *Cassette) replace(data []byte) (err error) {
	defer func() {
		if err != nil {
			err = c.bad(0, "not written, the file is unchanged: %w: Close can be called again", err)
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

// newFile is the prefix of the names of temporary files that replace writes.
const newFile = ".cassette-"

// removeAbandoned removes the temporary files of processes that were killed while writing: those
// that were not written to for an hour. Errors are ignored because the next call tries again.
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
