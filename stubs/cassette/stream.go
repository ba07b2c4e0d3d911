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

// tee keeps what passes through a body, and calls end once: at the end, after an
// error, or when it is closed before. Another run that waits for the recording reads it to
// its end ([tee.drain]); its own reader then gets what was kept.
type tee struct {
	body io.ReadCloser
	size int64 // by the header, -1 where it says nothing
	end  func(data []byte, err error, cut bool)
	done func() // its reader has read it to the end, or closed it

	once sync.Once
	src  sync.Mutex // one read of body at a time
	mu   sync.Mutex // a client may close while it reads
	data []byte
	at   int   // of data, what its reader has
	err  error // of body, after data
}

func (t *tee) Read(p []byte) (int, error) {
	if n, err := t.kept(p); n > 0 || err != nil {
		return n, err
	}
	t.src.Lock()
	n, err := t.kept(p) // drained meanwhile
	if n == 0 && err == nil {
		t.more(p)
		n, err = t.kept(p)
	}
	t.src.Unlock()
	return n, err
}

// kept gives the reader what it does not have yet, or the error after it.
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

// more reads into p and keeps it. src is held.
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

// tape is a recorded body: at most one part for each Read, then end.
type tape struct {
	ctx  context.Context
	end  func() error
	done func() // its reader has read it to the end, or closed it

	mu     sync.Mutex
	parts  []string
	closed bool
}

func (t *tape) Read(p []byte) (int, error) {
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

func (t *tape) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.done()
	return nil
}

// eachData lets f change the JSON in a text: the text itself, or the data lines of
// events, between which other may change what there is. It keeps the text as it was
// written where nothing has changed, and says whether there was JSON.
func eachData(s string, f func(any) any, other func(string) string) (string, bool) {
	if tree, ok := parseContainer(s); ok {
		text, before := strings.TrimSpace(s), string(canonical(tree))
		after := string(canonical(f(tree)))
		// What the tree does not hold, f has not seen.
		if _, twice := doubled([]byte(text)); twice || after != before || !utf8.ValidString(text) {
			s = strings.Replace(s, text, after, 1)
		}
		return s, true
	}
	var out strings.Builder
	found, done := false, 0 // what is in out, of s
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

// leaves lets f change all strings of a tree.
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

// deltas redacts secrets that a model streams in pieces: no event holds one whole.
func deltas(red *redact.Redactor, chunks []any) {
	pieces := map[string][]string{} // by where they are in their event
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

// textNames are the names, in lower case without underscores, of fields that hold a piece of one text in each
// event. What others hold, one behind the other, may only seem random.
var textNames = []string{"content", "text", "delta", "arguments", "partialjson", "thinking", "reasoning", "reasoningcontent", "completion"}
