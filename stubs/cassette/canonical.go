package cassette

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// parse decodes exactly one JSON value. Numbers keep their notation, so that a long ID is not
// rounded to a float64.
func parse(data []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err = d.Decode(&v); err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("data after the value")
		}
	}
	return v, err
}

// doubled returns a name that occurs twice in an object of a JSON text. encoding/json would
// silently use the last one, and the rest of the recording would be lost.
func doubled(data []byte) (name string, found bool) {
	err := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowInvalidUTF8(true)).SkipValue()
	if s := (*jsontext.SyntacticError)(nil); errors.As(err, &s) && errors.Is(err, jsontext.ErrDuplicateName) {
		return s.JSONPointer.LastToken(), true
	}
	return "", false
}

// parseContainer parses a text that is a JSON object or array, and only such a text.
func parseContainer(s string) (any, bool) {
	t := strings.TrimSpace(s)
	if len(t) < 2 || t[0] != '{' && t[0] != '[' {
		return nil, false
	}
	v, err := parse([]byte(t))
	return v, err == nil
}

// canonical encodes a JSON tree in one form only, so that equal trees have equal hashes: sorted
// names, no spaces, no unnecessary escapes. v is a tree from [parse] or a struct of such trees.
func canonical(v any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // unreachable for such trees
		return []byte(`"cannot be written: ` + err.Error() + `"`)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// without removes the named members from all objects of a tree, including JSON inside strings
// and event streams.
func without(v any, names []string) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if slices.Contains(names, k) {
				delete(v, k)
			} else {
				v[k] = without(v[k], names)
			}
		}
	case []any:
		for i := range v {
			v[i] = without(v[i], names)
		}
	case string:
		if len(names) > 0 {
			v, _ = eachData(v, func(data any) any { return without(data, names) }, func(s string) string { return s })
			return v
		}
	}
	return v
}

// differences lists the paths at which two trees differ, with both values.
func differences(path string, recorded, asked any) (out []string) {
	name := strings.TrimPrefix(path, ".")
	switch a := recorded.(type) {
	case map[string]any:
		b, ok := asked.(map[string]any)
		if !ok {
			break
		}
		all := maps.Clone(a)
		maps.Copy(all, b)
		for _, k := range sortedKeys(all) {
			x, recorded := a[k]
			y, now := b[k]
			switch at := strings.TrimPrefix(path+"."+k, "."); {
			case !now:
				out = append(out, fmt.Sprintf("%s: recorded %s, now absent", at, show(x, "")))
			case !recorded:
				out = append(out, fmt.Sprintf("%s: not recorded, now %s", at, show(y, "")))
			default:
				out = append(out, differences(at, x, y)...)
			}
		}
		return out
	case []any:
		b, ok := asked.([]any)
		if !ok {
			break
		}
		for i := range min(len(a), len(b)) {
			out = append(out, differences(fmt.Sprintf("%s[%d]", path, i), a[i], b[i])...)
		}
		if len(a) != len(b) {
			out = append(out, fmt.Sprintf("%s: recorded %d elements, now %d", name, len(a), len(b)))
		}
		return out
	}
	if x, y := canonical(recorded), canonical(asked); !bytes.Equal(x, y) {
		s, _ := recorded.(string)
		t, _ := asked.(string)
		out = append(out, fmt.Sprintf("%s: recorded %s, now %s", name, show(recorded, t), show(asked, s)))
	}
	return out
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// show formats a value for a message. Of a long text it shows the part that starts to differ
// from other.
func show(v any, other string) string {
	const most = 80 // bytes
	s, ok := v.(string)
	if !ok {
		s = string(canonical(v))
		if len(s) > most {
			return strings.ToValidUTF8(s[:most], "") + "…"
		}
		return s
	}
	from := 0
	if len(s) > most {
		for from < min(len(s), len(other)) && s[from] == other[from] {
			from++
		}
		from = max(0, min(from-most/4, len(s)-most))
	}
	part := strings.ToValidUTF8(s[from:min(from+most, len(s))], "")
	if from > 0 {
		part = "…" + part
	}
	if from+most < len(s) {
		part += "…"
	}
	return string(canonical(part))
}
