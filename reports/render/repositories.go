package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// Repositories serves several histories: a page with a row for each at /, and the pages of each at
// /NAME/.
type Repositories struct {
	Door *Live // its Hosts, Token and Once apply to all; its other fields are not used
	All  []Repository
}

// Repository is one of [Repositories].
type Repository struct {
	Name string // see [CheckRepository]
	Live *Live  // Prefix must be "/" and the name
}

var repositoryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// CheckRepository returns an error if a name cannot be part of an address.
func CheckRepository(name string) error {
	if !repositoryName.MatchString(name) {
		return fmt.Errorf("repository %q: use letters, digits, '.', '_' and '-', at most 64", name)
	}
	return nil
}

// ServeHTTP serves the page of all repositories at /, and the pages of [Live] at /NAME/.
func (all *Repositories) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !all.Door.admits(w, r) {
		return
	}
	if r.URL.Path == "/" {
		all.page(w, r)
		return
	}
	name, _, below := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	for i := range all.All {
		switch repository := &all.All[i]; {
		case repository.Name != name:
		case !below:
			w.Header().Set("Location", "/"+name+"/")
			w.WriteHeader(http.StatusSeeOther)
			return
		default:
			repository.Live.answer(w, r)
			return
		}
	}
	http.NotFound(w, r)
}

// repositoriesPage is the data of the template.
type repositoriesPage struct {
	Title  string
	Reload bool // reload every 30 s; off by default, because reloading moves the text that people read
	Rows   []repositoryRow
}

// Policy returns a content security policy that allows the style of the page and nothing else.
func (repositoriesPage) Policy() string {
	return "default-src 'none'; style-src " + styleSource() + "; img-src data:; base-uri 'none'; form-action 'none'"
}

type repositoryRow struct {
	Name, URL    string
	Word, Tone   string
	Text, Change string
	Rate, When   string
	Jobs         []jobMark
}

// jobMark is the outcome of the newest run of one job of a commit.
type jobMark struct{ Name, Mark, Tone string }

func (all *Repositories) page(w http.ResponseWriter, r *http.Request) {
	p := repositoriesPage{Title: "Repositories", Reload: r.URL.Query().Has("reload")}
	for i := range all.All {
		p.Rows = append(p.Rows, all.All[i].row(r.Context()))
	}
	var b bytes.Buffer
	if err := pageTemplate().ExecuteTemplate(&b, "repositories", p); err != nil {
		http.Error(w, reports.Visible(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // an error means that the client has disconnected
}

// row returns the row of the newest run. If it cannot be read, the row contains the error, so that the
// other repositories are still shown.
func (r *Repository) row(ctx context.Context) repositoryRow {
	row := repositoryRow{Name: r.Name, URL: "/" + r.Name + "/"}
	a, err := r.Live.Analyze(ctx, 0, "")
	switch {
	case errors.Is(err, analysis.ErrNoRuns):
		row.Text = "no run yet"
	case err != nil:
		row.Word, row.Tone, row.Text = "INVALID", "invalid", reports.Visible(err.Error())
	default:
		row.Word, row.Tone, row.Text = a.Headline.Word, a.Run.Outcome.String(), verdictSentence(a)
		row.Change, row.Jobs = changeText(&a.Run), jobMarks(a)
		if a.Rate.Of > 0 {
			row.Rate = a.Rate.Percent()
		}
		if !a.Run.Started.IsZero() {
			row.When = a.Run.Started.UTC().Format("2006-01-02 15:04 UTC")
		}
	}
	return row
}

// changeText returns a text such as "branch fix, commit 269a1f8: the subject".
func changeText(r *reports.Run) string {
	var parts []string
	if r.Branch != "" {
		parts = append(parts, "branch "+text.Cut(reports.Visible(r.Branch), 60))
	}
	if r.Commit != "" {
		commit := "commit " + text.ShortCommit(r.Commit)
		if s := text.OneLine(r.Origin.Subject); s != "" {
			commit += ": " + text.Cut(s, 72)
		}
		parts = append(parts, commit)
	}
	return strings.Join(parts, ", ")
}

// jobMarks returns the newest run of tests and the newest that only measured of each job (system and
// version of Go), at the commit of the newest run, or nil if there is only one job.
func jobMarks(a *analysis.Analysis) (marks []jobMark) {
	type kind struct {
		cell     string
		measured bool
	}
	seen := map[kind]bool{}
	for i := len(a.Trend.Points) - 1; i >= 0; i-- {
		l := a.Trend.Points[i]
		if a.Run.Commit == "" || !reports.SameCommit(l.Commit, a.Run.Commit) || seen[kind{l.Cell, l.Measured}] || l.Cell == "" {
			continue
		}
		seen[kind{l.Cell, l.Measured}] = true
		o := a.Trend.Origins[l.ID]
		marks = append(marks, jobMark{jobOf(o, l), symbols[l.Outcome], l.Outcome.String()})
	}
	if len(marks) < 2 {
		return nil
	}
	return marks
}

func jobOf(o reports.Origin, l history.RunLine) string {
	name := jobText(o)
	if name == "" {
		name = text.Cut(text.OneLine(strings.ReplaceAll(l.Cell, "|", " ")), 100)
	}
	if l.Measured {
		name += ", measured"
	}
	if l.Outcome == thresholds.Held {
		return name
	}
	return name + " " + l.Outcome.String()
}
