package redact

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// known are values that were given away, in one text or by the caller. A text is searched for
// all of them in one pass: at each position the bytes that every value begins with lead to
// the lengths that such values have.
type known struct {
	mu      sync.RWMutex
	values  map[string]bool
	lengths map[string][]int // by the first Shortest bytes, longest first
}

// longestKnown bounds what is compared at one position. Longer values are known in parts.
const longestKnown = 128

// workCounter counts the bytes that were looked at; a nil pointer does not count. It exists
// for the tests that bound the work.
type workCounter struct{ bytes *atomic.Int64 }

func (w workCounter) add(n int) {
	if w.bytes != nil {
		w.bytes.Add(int64(n))
	}
}

// learn makes a value known if it is long and odd enough not to be a word.
func (r *Redactor) learn(value string) {
	if _, rest, ok := strings.Cut(value, " "); ok { // "Bearer …"
		value = rest
	}
	if len(value) >= Shortest && (len(value) >= 20 || hasDigit(value)) && !strings.ContainsAny(value, " \t\r\n") {
		r.Know(value)
	}
}

// Know makes a value known: it is redacted wherever it occurs from now on, as it is or
// percent-encoded. Values of fewer than [Shortest] bytes are ignored.
func (r *Redactor) Know(value string) {
	if len(value) < Shortest || strings.Contains(value, "[redacted") {
		return
	}
	k := &r.known
	k.mu.RLock()
	is := k.values[value[:min(len(value), longestKnown)]]
	k.mu.RUnlock()
	if is && len(value) <= longestKnown {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.values == nil {
		k.values, k.lengths = map[string]bool{}, map[string][]int{}
	}
	for _, form := range []string{value, url.QueryEscape(value), url.PathEscape(value)} {
		for len(form) > longestKnown {
			k.put(form[:longestKnown])
			form = form[longestKnown:]
		}
		if len(form) >= Shortest {
			k.put(form)
		}
	}
}

func (k *known) put(value string) {
	if k.values[value] {
		return
	}
	k.values[value] = true
	begin := value[:Shortest]
	lengths := k.lengths[begin]
	if i, found := slices.BinarySearchFunc(lengths, len(value), func(a, b int) int { return b - a }); !found {
		k.lengths[begin] = slices.Insert(lengths, i, len(value))
	}
}

// repeated finds known values, also where they overlap.
func (r *Redactor) repeated(s string) (found []span) {
	k := &r.known
	k.mu.RLock()
	defer k.mu.RUnlock()
	if len(k.values) == 0 {
		return nil
	}
	r.work.add(len(s))
	end := 0 // of what was found so far
	for at := 0; at+Shortest <= len(s); at++ {
		for _, n := range k.lengths[s[at:at+Shortest]] {
			if at+n <= end {
				break // the rest is shorter, and found already
			}
			if at+n > len(s) {
				continue
			}
			r.work.add(n)
			if k.values[s[at:at+n]] {
				found = append(found, span{at, at + n, "[redacted:known]"})
				end = at + n
				break
			}
		}
	}
	return found
}
