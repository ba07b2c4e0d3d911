package history

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

// The specs of a run are stored by column, sorted by name ID, because columns compress well. Data
// that seldom changes between runs (which specs there are, their locations and labels) is in rosters,
// blobs that runs share; each roster covers a range of rosterSpan name IDs, so that a new spec changes
// only one. The outcomes are in the row of the run: one byte per state, and references to the texts of
// the few specs that have some.

// rosterSpan is the number of consecutive name IDs that one roster covers.
const rosterSpan = 128

// BothBit is added to the code of a state if the spec also had the other outcome: a pass that was
// retried, or a failure with [reports.BothWays].
const BothBit = 4

// outcomes holds the results of one run.
type outcomes struct {
	rosters  []int64  // blob IDs
	codes    []byte   // states: index in reports.States, with BothBit
	attempts []int    // number of attempts
	order    []int    // index of each spec in the original results; nil if those were sorted by name ID
	details  []sparse // reports.Spec.Detail
	messages []sparse // reports.Spec.Message
	outputs  []sparse // reports.Spec.Output; if there are none, the field is not written
	attached []sparse // JSON arrays of reports.Attachment; if there are none, the field is not written
}

// sparse is an entry of a column that has values for few specs.
type sparse struct {
	at   int   // index of the spec in codes
	blob int64 // ID of the blob that holds the text
}

// place returns the index in the original results of the spec with index at in codes.
func (o *outcomes) place(at int) int {
	if o.order == nil {
		return at
	}
	return o.order[at]
}

func (o *outcomes) pack() []byte {
	var p packer
	p.uint(len(o.rosters))
	for _, id := range o.rosters {
		p.int(id)
	}
	p.uint(len(o.codes))
	p.b = append(p.b, o.codes...)
	for _, n := range o.attempts {
		p.uint(n)
	}
	p.sparse(o.details)
	p.sparse(o.messages)
	p.uint(len(o.order))
	last := -1
	for _, at := range o.order { // mostly the successor of the previous one
		p.int(int64(at - last - 1))
		last = at
	}
	if len(o.outputs)+len(o.attached) > 0 {
		p.sparse(o.outputs)
	}
	if len(o.attached) > 0 {
		p.sparse(o.attached)
	}
	return p.b
}

func (p *packer) sparse(texts []sparse) {
	p.uint(len(texts))
	last := 0
	for _, t := range texts {
		p.uint(t.at - last)
		p.int(t.blob)
		last = t.at
	}
}

// sparse decodes a column of which some of n specs have values.
func (u *unpacker) sparse(n int) []sparse {
	texts := make([]sparse, u.count())
	last := 0
	for i := range texts {
		last += u.uint()
		if last >= n {
			u.fail()
			break
		}
		texts[i] = sparse{last, u.int()}
	}
	return texts
}

// unpackCodes reads only the rosters and the states, which is all that a window needs. It leaves the
// rest in u.
func unpackCodes(u *unpacker) (*outcomes, error) {
	o := &outcomes{rosters: make([]int64, u.count())}
	for i := range o.rosters {
		o.rosters[i] = u.int()
	}
	if o.codes = u.bytes(); u.err != nil {
		return nil, u.err
	}
	for _, c := range o.codes {
		if int(c&^BothBit) >= len(reports.States) {
			return nil, fmt.Errorf("a state has the code %d, which this version does not know", c)
		}
	}
	return o, nil
}

func unpackOutcomes(b []byte) (*outcomes, error) {
	u := unpacker{b: b}
	o, err := unpackCodes(&u)
	if err != nil {
		return nil, err
	}
	n := len(o.codes)
	o.attempts = make([]int, n)
	for i := range o.attempts {
		o.attempts[i] = u.uint()
	}
	o.details, o.messages = u.sparse(n), u.sparse(n)
	last := -1
	if ordered := u.count(); ordered > 0 {
		o.order = make([]int, ordered)
		for i := range o.order {
			last += int(u.int()) + 1
			if last < 0 || last >= n || ordered != n {
				u.fail()
				break
			}
			o.order[i] = last
		}
	}
	if len(u.b) > 0 {
		o.outputs = u.sparse(n)
	}
	if len(u.b) > 0 {
		o.attached = u.sparse(n)
	}
	return o, u.end()
}

// roster holds the data of consecutive specs by name ID.
type roster struct {
	ids    []int64
	files  []string
	lines  []int
	labels [][]string
}

func (r *roster) pack() ([]byte, error) {
	var p packer
	p.uint(len(r.ids))
	last := int64(0)
	for _, id := range r.ids {
		p.int(id - last)
		last = id
	}
	labels := make([]string, len(r.labels))
	for i, l := range r.labels {
		text, err := list(l)
		if err != nil {
			return nil, err
		}
		labels[i] = text
	}
	p.column(r.files)
	p.column(labels)
	lastLine := 0
	for _, line := range r.lines {
		p.int(int64(line - lastLine))
		lastLine = line
	}
	return p.b, nil
}

// column encodes texts with many duplicates: a table of distinct texts, and an index for each text.
func (p *packer) column(texts []string) {
	known := map[string]int{}
	var table []string
	for _, t := range texts {
		if _, ok := known[t]; !ok {
			known[t] = len(table)
			table = append(table, t)
		}
	}
	p.uint(len(table))
	for _, t := range table {
		p.text(t)
	}
	for _, t := range texts {
		p.uint(known[t])
	}
}

func (u *unpacker) column(n int) []string {
	table := make([]string, u.count())
	for i := range table {
		table[i] = u.text()
	}
	texts := make([]string, n)
	for i := range texts {
		at := u.uint()
		if at >= len(table) {
			u.fail()
			break
		}
		texts[i] = table[at]
	}
	return texts
}

// rosterIDs reads only the name IDs.
func rosterIDs(u *unpacker) []int64 {
	ids := make([]int64, u.count())
	last := int64(0)
	for i := range ids {
		if last += u.int(); last <= 0 || last > math.MaxInt32 { // a Window allocates a slice up to the largest ID
			u.fail()
			return nil
		}
		ids[i] = last
	}
	return ids
}

func unpackRoster(b []byte) (*roster, error) {
	u := unpacker{b: b}
	r := &roster{ids: rosterIDs(&u)}
	n := len(r.ids)
	r.files = u.column(n)
	r.labels = make([][]string, n)
	known := map[string][]string{} // specs with equal labels share them
	for i, text := range u.column(n) {
		if u.err != nil {
			break
		}
		labels, ok := known[text]
		if !ok {
			if err := unlist(text, &labels); err != nil {
				return nil, err
			}
			labels = slices.Clip(labels)
			known[text] = labels
		}
		r.labels[i] = labels
	}
	r.lines = make([]int, n)
	last := 0
	for i := range r.lines {
		last += int(u.int())
		r.lines[i] = last
	}
	return r, u.end()
}

func packDurations(durations []time.Duration) []byte {
	var p packer
	for _, d := range durations {
		p.int(int64(d))
	}
	return p.b
}

func unpackDurations(b []byte, n int) ([]time.Duration, error) {
	u := unpacker{b: b}
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = time.Duration(u.int())
	}
	return all, u.end()
}

// sorted returns the order of specs by name ID; kept is nil if they are already in that order.
func sorted(ids []int64) (order, kept []int) {
	order = make([]int, len(ids))
	for i := range order {
		order[i] = i
	}
	if slices.IsSorted(ids) {
		return order, nil
	}
	slices.SortFunc(order, func(a, b int) int { return int(ids[a] - ids[b]) })
	return order, order
}

// list encodes values as a JSON array; nil is [].
func list[T any](values []T) (string, error) {
	if values == nil {
		values = []T{}
	}
	text, err := json.Marshal(values)
	return string(text), err
}

// unlist decodes the result of list; an empty array becomes nil.
func unlist[T any](text string, into *[]T) error {
	if text == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}
