package render

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// specTable contains all specs of a run for the scripts of the page, which list, sort and filter
// them and draw the page of each. It consists of columns, because these compress well and decode
// quickly: element i of each column belongs to spec i. Repeated texts are stored once, in lists, and
// columns contain their indexes, or -1 for none.
type specTable struct {
	Runs       []tableRun `json:"runs"` // the columns of a strip of outcomes
	Suites     []string   `json:"suites"`
	Kinds      []string   `json:"kinds"`
	Owners     []string   `json:"owners"`
	Categories []string   `json:"categories"`
	Files      []string   `json:"files"`
	Labels     []string   `json:"labels"`
	LabelSets  [][]int    `json:"labelSets"`
	Systems    []string   `json:"systems"` // platforms on which specs fail, such as "windows/amd64 go1.26"
	SystemSets [][]int    `json:"systemSets"`
	Pasts      []string   `json:"pasts"`      // outcomes in the runs, see packCells
	Containers []string   `json:"containers"` // beginnings of names, including the last " > "

	IDLength  int       `json:"idLength"`
	IDs       string    `json:"ids"`    // idLength characters for each spec
	Leaves    string    `json:"leaves"` // one line per spec
	Container column    `json:"container"`
	States    string    `json:"states"` // one digit per spec: index in tableStates
	Suite     column    `json:"suite"`
	Kind      column    `json:"kind"`
	Cell      column    `json:"cell"` // cell of the matrix; the names are in Kinds
	Owner     column    `json:"owner"`
	Category  column    `json:"category"`
	File      column    `json:"file"`
	Line      column    `json:"line"`
	Took      column    `json:"took"` // µs
	Label     column    `json:"label"`
	System    column    `json:"system"`
	Past      column    `json:"past"`
	Times     [][]int64 `json:"times,omitempty"` // durations in the last runs, µs

	Details map[string]specDetails `json:"details"` // of specs that need attention or have attachments, by ID
	FileURL string                 `json:"fileURL,omitempty"`
}

// column is a number for each spec.
type column []int

// MarshalJSON uses the run-length encoding {"r": [value, rows, value, rows, …]} if that is shorter
// than the values: most columns have long runs of one value, and decoding dominates the time to
// open a page of 100,000 specs.
func (c column) MarshalJSON() ([]byte, error) {
	var runs []int
	for i := 0; i < len(c); {
		n := 1
		for i+n < len(c) && c[i+n] == c[i] {
			n++
		}
		runs = append(runs, c[i], n)
		i += n
	}
	if len(runs) >= len(c) && len(c) > 0 {
		return json.Marshal([]int(c))
	}
	if runs == nil {
		runs = []int{}
	}
	return json.Marshal(map[string][]int{"r": runs})
}

type tableRun struct {
	Name    string `json:"n"`
	Started string `json:"t"`
	Commit  string `json:"c"`
}

// tableStates lists the states of specs in a table. "flaky" means passed only when retried.
var tableStates = []string{"passed", "failed", "skipped", "pending", "flaky"}

// list assigns numbers to distinct texts.
type list struct {
	all []string
	at  map[string]int
}

func (l *list) place(s string) int {
	if s == "" {
		return -1
	}
	i, ok := l.at[s]
	if !ok {
		if l.at == nil {
			l.at = map[string]int{}
		}
		i = len(l.all)
		l.all, l.at[s] = append(l.all, s), i
	}
	return i
}

// sets assigns numbers to distinct lists of texts, and to their texts.
type sets struct {
	list
	texts list
	all   [][]int
}

func (s *sets) place(texts []string) int {
	i := s.list.place(strings.Join(texts, "\n"))
	if i == len(s.all) {
		set := make([]int, len(texts))
		for k, t := range texts {
			set[k] = s.texts.place(t)
		}
		s.all = append(s.all, set)
	}
	return i
}

const idLength = 12

// shortID returns the ID of a spec in the fragment of a URL.
func shortID(s *reports.Spec) string { return specID(s)[:idLength] }

// newSpecTable returns the table of the specs of a run.
func newSpecTable(a *analysis.Analysis, attached attachedFiles) specTable {
	t := specTable{IDLength: idLength, Runs: tableRuns(a.Outcomes.Runs), Details: newDetails(a), FileURL: reports.WebAddress(a.Run.Origin.FileURL)}
	addAttached(a, t.Details, attached)
	moves := map[reports.Digest]*analysis.Move{}
	for i := range a.Moves {
		moves[a.Moves[i].Spec.Digest()] = &a.Moves[i]
	}
	by := failuresOf(a)
	var suites, kinds, owners, categories, files, pasts, containers list
	var labels, systems sets
	var ids, states strings.Builder
	var leaves []string
	timed := a.Outcomes.Timed
	for i := range a.Run.Suites.Specs {
		s := &a.Run.Suites.Specs[i]
		key := s.Digest()
		past, took := a.Outcomes.Of(s)
		ids.WriteString(shortID(s))
		states.WriteByte('0' + byte(tableState(s)))
		kind, cellName := "", ""
		if m := moves[key]; m != nil {
			kind, cellName = string(m.Kind), cell(m.Before, m.Now)
		} else if a.Matrix.Compared {
			cellName = cell(s.State, s.State)
		}
		category, _ := reports.Label(s, "category:")
		container, leaf := splitName(text.Cut(reports.Visible(specName(s)), 500))
		t.Container, leaves = append(t.Container, containers.place(container)), append(leaves, leaf)
		t.Suite, t.Kind, t.Cell = append(t.Suite, suites.place(reports.Visible(s.Suite))), append(t.Kind, kinds.place(kind)), append(t.Cell, kinds.place(cellName))
		t.Owner, t.Category = append(t.Owner, owners.place(reports.Visible(reports.OwnerOf(s)))), append(t.Category, categories.place(text.Cut(reports.Visible(category), 80)))
		t.File, t.Line = append(t.File, files.place(text.Cut(reports.Visible(s.File), 300))), append(t.Line, s.Line)
		t.Took, t.Label = append(t.Took, int(s.Duration.Microseconds())), append(t.Label, labels.place(otherLabels(s)))
		t.System = append(t.System, systems.place(failsOn(a, s, by[key])))
		t.Past = append(t.Past, pasts.place(packCells(past)))
		if timed {
			t.Times = append(t.Times, microseconds(took))
		}
	}
	t.Containers = containers.all
	t.IDs, t.States, t.Leaves = ids.String(), states.String(), strings.Join(leaves, "\n")
	t.Suites, t.Kinds, t.Owners, t.Categories, t.Files, t.Pasts = suites.all, kinds.all, owners.all, categories.all, files.all, pasts.all
	t.Labels, t.LabelSets, t.Systems, t.SystemSets = labels.texts.all, labels.all, systems.texts.all, systems.all
	return t
}

func tableRuns(lines []history.RunLine) (all []tableRun) {
	for _, r := range lines {
		run := tableRun{Name: lineName(r), Commit: text.ShortCommit(r.Commit)}
		if !r.Started.IsZero() {
			run.Started = r.Started.UTC().Format("2006-01-02 15:04")
		}
		all = append(all, run)
	}
	return all
}

func tableState(s *reports.Spec) int {
	if s.Retried && s.State == reports.Passed || s.BothWays() {
		return len(tableStates) - 1
	}
	return slices.Index(tableStates, string(s.State))
}

// otherLabels returns the labels that have no column.
func otherLabels(s *reports.Spec) (all []string) {
	for _, l := range s.Labels {
		if !strings.HasPrefix(l, "owner:") && !strings.HasPrefix(l, "category:") {
			all = append(all, text.Cut(reports.Visible(l), 80))
		}
	}
	return all
}

// failsOn returns the platforms on which a spec fails: those of the run and of other jobs of its
// commit.
func failsOn(a *analysis.Analysis, s *reports.Spec, f *analysis.Failure) (all []string) {
	if s.State != reports.Failed {
		return nil
	}
	if own := a.Run.Origin.Platform(); own != "" {
		all = append(all, reports.Visible(own))
	}
	if f != nil {
		for _, other := range f.Red {
			if other = reports.Visible(other); !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	return all
}

func microseconds(times []time.Duration) []int64 {
	us := make([]int64, len(times))
	for i, d := range times {
		us[i] = d.Microseconds()
	}
	return us
}

// specName returns the name of a spec without its suite.
func specName(s *reports.Spec) string {
	_, name, ok := strings.Cut(s.Name(), " > ")
	if !ok {
		return s.Name()
	}
	return name
}

// splitName splits a name after its last " > ".
func splitName(name string) (container, leaf string) {
	i := strings.LastIndex(name, " > ")
	if i < 0 {
		return "", name
	}
	return name[:i+3], name[i+3:]
}

// packCells run-length encodes outcomes: "...F.." becomes "3.F2.".
func packCells(cells string) string {
	var b strings.Builder
	for i := 0; i < len(cells); {
		n := 1
		for i+n < len(cells) && cells[i+n] == cells[i] {
			n++
		}
		if n > 1 {
			b.WriteString(strconv.Itoa(n))
		}
		b.WriteByte(cells[i])
		i += n
	}
	return b.String()
}

// pack compresses the table for an attribute of the page: JSON, gzip, base64.
func (t specTable) pack() string {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_ = json.NewEncoder(z).Encode(t.withoutNil())         // strings and numbers, into memory
	_ = z.Close()
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

// withoutNil replaces nil slices by empty ones, because the scripts expect arrays instead of null.
func (t specTable) withoutNil() specTable {
	for _, l := range []*[]string{&t.Suites, &t.Kinds, &t.Owners, &t.Categories, &t.Files, &t.Labels, &t.Systems, &t.Pasts, &t.Containers} {
		if *l == nil {
			*l = []string{}
		}
	}
	if t.Runs == nil {
		t.Runs = []tableRun{}
	}
	if t.LabelSets == nil {
		t.LabelSets = [][]int{}
	}
	if t.SystemSets == nil {
		t.SystemSets = [][]int{}
	}
	return t
}
