package cassette

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/stubs/redact"
)

// tee keeps a copy of the data read from a body and calls end once: at the end of the body, after
// an error, or when it is closed before. If another run waits for the recording, that run reads
// the body to its end ([tee.drain]), and the reader of the body then gets the copy.
type tee struct {
	body io.ReadCloser
	size int64 // Content-Length, -1 if unknown
	end  func(data []byte, err error, cut bool)
	done func() // called when the reader has reached the end or closed the body

	once sync.Once
	src  sync.Mutex // held while body is read
	mu   sync.Mutex // guards the fields below; a client may call Close during Read
	data []byte
	at   int   // number of bytes of data that the reader has got
	err  error // error of body after data
}

func (t *tee) Read(p []byte) (int, error) {
	if n, err := t.kept(p); n > 0 || err != nil {
		return n, err
	}
	t.src.Lock()
	n, err := t.kept(p) // drain may have read in the meantime
	if n == 0 && err == nil {
		t.more(p)
		n, err = t.kept(p)
	}
	t.src.Unlock()
	return n, err
}

// kept copies data that the reader does not have yet; if there is none, it returns the error.
func (t *tee) kept(p []byte) (n int, err error) {
	t.mu.Lock()
	n = copy(p, t.data[t.at:])
	t.at += n
	if t.at == len(t.data) {
		err = t.err
	}
	t.mu.Unlock()
	if err != nil {
		t.done()
	}
	return n, err
}

// more reads from the body and appends to data. p is a buffer. src is held.
func (t *tee) more(p []byte) {
	n, err := t.body.Read(p)
	t.mu.Lock()
	t.data = append(t.data, p[:n]...)
	t.err = err
	t.mu.Unlock()
	switch {
	case err == io.EOF:
		t.finish(nil, false)
	case err != nil:
		t.finish(err, false)
	}
}

// drain reads the body to its end.
func (t *tee) drain() {
	buf := make([]byte, 32<<10)
	for {
		t.src.Lock()
		t.mu.Lock()
		ended := t.err != nil
		t.mu.Unlock()
		if !ended {
			t.more(buf)
		}
		t.src.Unlock()
		if ended {
			return
		}
	}
}

func (t *tee) Close() error {
	err := t.body.Close()
	t.mu.Lock()
	cut := int64(len(t.data)) != t.size
	t.mu.Unlock()
	t.done()
	t.finish(nil, cut)
	return err
}

func (t *tee) finish(err error, cut bool) {
	t.once.Do(func() {
		t.mu.Lock()
		data := bytes.Clone(t.data)
		t.mu.Unlock()
		t.end(data, err, cut)
	})
}

// playback is a recorded body. Each Read returns data of one part at most; after all parts it
// returns the error of end.
type playback struct {
	ctx  context.Context
	end  func() error
	done func() // called when the reader has reached the end or closed the body

	mu     sync.Mutex
	parts  []string
	closed bool
}

func (t *playback) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return 0, http.ErrBodyReadAfterClose
	case t.ctx.Err() != nil:
		t.done()
		return 0, t.ctx.Err()
	case len(t.parts) == 0:
		t.done()
		return 0, t.end()
	}
	n := copy(p, t.parts[0])
	if t.parts[0] = t.parts[0][n:]; t.parts[0] == "" {
		t.parts = t.parts[1:]
	}
	return n, nil
}

func (t *playback) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.done()
	return nil
}

// eachData applies f to the JSON in a text, which is either the whole text or the data lines of
// events; other is applied to the text between those lines. Parts that f does not change keep
// their notation. It reports whether there was any JSON.
func eachData(s string, f func(any) any, other func(string) string) (string, bool) {
	if tree, ok := parseContainer(s); ok {
		text, before := strings.TrimSpace(s), string(canonical(tree))
		after := string(canonical(f(tree)))
		// Duplicate names and invalid UTF-8 are not in the tree, so f has not seen them: they may
		// be secrets, and only the tree may be written.
		if _, twice := doubled([]byte(text)); twice || after != before || !utf8.ValidString(text) {
			s = strings.Replace(s, text, after, 1)
		}
		return s, true
	}
	var out strings.Builder
	found, done := false, 0 // done is the length of the prefix of s that out represents
	at := 0
	for line := range strings.Lines(s) {
		begin := at
		at += len(line)
		data, is := strings.CutPrefix(line, "data:")
		if _, ok := parseContainer(data); !is || !ok {
			continue
		}
		if begin > done {
			out.WriteString(other(s[done:begin]))
		}
		data, _ = eachData(data, f, other)
		out.WriteString("data:" + data)
		found, done = true, at
	}
	if !found {
		return s, false
	}
	if done < len(s) {
		out.WriteString(other(s[done:]))
	}
	return out.String(), true
}

// leaves replaces each string of a tree by the result of f.
func leaves(v any, path string, f func(path, s string) string) any {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			v[k] = leaves(v[k], path+"."+k, f)
		}
	case []any:
		for i := range v {
			v[i] = leaves(v[i], path+"[]", f)
		}
	case string:
		return f(path, v)
	}
	return v
}

// deltas redacts secrets that a model streams in pieces, so that no single event contains a whole
// one. The strings at the same path of successive events are regarded as one text.
func deltas(red *redact.Redactor, chunks []any) {
	pieces := map[string][]string{} // by path in the event
	walk := func(f func(path, s string) string) {
		for i, chunk := range chunks {
			if s, ok := chunk.(string); ok {
				chunks[i], _ = eachData(s, func(v any) any { return leaves(v, "", f) }, func(s string) string { return s })
			}
		}
	}
	walk(func(path, s string) string {
		pieces[path] = append(pieces[path], s)
		return s
	})
	for path, list := range pieces {
		name := path[strings.LastIndexByte(path, '.')+1:]
		pieces[path] = red.Pieces(list, slices.Contains(textNames, strings.ToLower(strings.ReplaceAll(name, "_", ""))))
	}
	walk(func(path, _ string) string {
		s := pieces[path][0]
		pieces[path] = pieces[path][1:]
		return s
	})
}

// textNames are the names, in lower case without underscores, of fields that contain a piece of
// one text in each event. The values of other fields are unrelated: joined, they would look random
// and be taken for a secret.
var textNames = []string{"content", "text", "delta", "arguments", "partialjson", "thinking", "reasoning", "reasoningcontent", "completion"}
