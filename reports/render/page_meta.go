package render

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// link is a text with the address that it links to, or "".
type link struct{ Text, URL string }

// pageOf returns the name of the module, or else of the repository, or else the given text.
func pageOf(o reports.Origin, otherwise string) string {
	return cmp.Or(text.Cut(reports.Visible(cmp.Or(o.Module, o.Repository)), 80), otherwise)
}

// meta returns the parts of the line below the name of the module.
func meta(run reports.Run) (all []link) {
	add := func(text, address string) {
		if text != "" {
			all = append(all, link{text, reports.WebAddress(address)})
		}
	}
	if run.ID != 0 {
		add(fmt.Sprintf("run %d", run.ID), "")
	}
	if !run.Started.IsZero() {
		add(run.Started.UTC().Format("2 January 2006, 15:04 UTC"), "")
	}
	if run.Seconds > 0 {
		add("took "+text.Took(text.Seconds(run.Seconds)), "")
	}
	if o := run.Origin; o.Module != "" && o.Repository != "" && o.Repository != o.Module {
		add(text.Cut(reports.Visible(o.Repository), 80), "")
	}
	if run.Commit != "" {
		commit := "commit " + text.ShortCommit(run.Commit)
		if run.Dirty {
			commit += " with changes"
		}
		if subject := text.OneLine(run.Origin.Subject); subject != "" {
			commit += ": " + text.Cut(subject, 72)
		}
		add(commit, run.Origin.CommitURL)
	}
	if run.Branch != "" {
		add("branch "+text.Cut(reports.Visible(run.Branch), 60), "")
	}
	add(jobText(run.Origin), run.Origin.JobURL)
	if !run.Complete {
		add("interrupted", "")
	}
	return all
}

// jobText describes where a run was made, such as "job tests, shard 2/3, windows/amd64 go1.26".
func jobText(o reports.Origin) string {
	var parts []string
	if o.Job != "" {
		parts = append(parts, "job "+o.Job)
	} else if o.JobURL != "" {
		parts = append(parts, "job")
	}
	if o.Shard != "" {
		parts = append(parts, "shard "+o.Shard)
	}
	if platform := o.Platform(); platform != "" {
		parts = append(parts, platform)
	}
	return text.Cut(text.OneLine(strings.Join(parts, ", ")), 100)
}

// sourceLink returns the location of a failure, with the address of the line. base is the address of
// the files of the commit. A file outside of the module has no address.
func sourceLink(base, file string, line int) link {
	l := link{Text: text.Where(file, line)}
	clean := path.Clean(strings.ReplaceAll(file, "\\", "/"))
	if base = reports.WebAddress(base); base == "" || file == "" || path.IsAbs(clean) || strings.HasPrefix(clean, "../") || strings.Contains(clean, ":") {
		return l
	}
	l.URL = base + (&url.URL{Path: clean}).EscapedPath()
	if line > 0 {
		l.URL += fmt.Sprintf("#L%d", line)
	}
	return l
}
