package render

import (
	"net/url"
	"os"
	"path/filepath"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
)

// maxAttached is the maximum number of attachments on the pages of specs that have no card.
const maxAttached = 2000

// attachedView is an attachment of a spec on the page.
type attachedView struct {
	Name string `json:"n"`
	Note string `json:"t,omitempty"` // media type, or why there is no link
	URL  string `json:"u,omitempty"` // address of the link, or ""
}

// attachedFiles finds attached files and returns their addresses. If a field is nil, only web addresses
// are links.
type attachedFiles struct {
	root *os.Root                 // folder of the module
	href func(file string) string // returns the address of a file, relative to the page
}

// filesFrom returns the attached files of an analysis for a page in the given folder.
func filesFrom(a *analysis.Analysis, folder string) attachedFiles {
	f := openAttached(a)
	dir, err := filepath.Abs(folder)
	if f.root == nil || err != nil {
		return f
	}
	root, err := filepath.Abs(a.Root)
	if err != nil {
		return f
	}
	f.href = func(file string) string {
		rel, err := filepath.Rel(dir, filepath.Join(root, filepath.FromSlash(file)))
		if err != nil { // another drive
			return ""
		}
		return (&url.URL{Path: filepath.ToSlash(rel)}).String()
	}
	return f
}

// openAttached opens the folder of the module.
func openAttached(a *analysis.Analysis) (f attachedFiles) {
	if a.Root != "" {
		f.root, _ = os.OpenRoot(a.Root) // nil after an error
	}
	return f
}

func (f attachedFiles) close() {
	if f.root != nil {
		_ = f.root.Close() // nothing was written
	}
}

// views returns the attachments of a spec for the page.
func (f attachedFiles) views(s *reports.Spec) (all []attachedView) {
	for _, one := range s.Attachments[:min(len(s.Attachments), reports.MaxAttachments)] {
		all = append(all, f.view(&one))
	}
	return all
}

func (f attachedFiles) view(a *reports.Attachment) attachedView {
	v := attachedView{Name: reports.Visible(a.Name), Note: reports.Visible(a.Type), URL: a.URL()}
	file := a.File()
	switch {
	case v.URL != "":
	case file == "":
		v.Note = "outside of the module"
	case f.href == nil:
		v.Note = file
	case f.root == nil:
		v.Note = file
	default:
		if _, err := f.root.Stat(filepath.FromSlash(file)); err != nil {
			v.Note = "no longer there: " + file
		} else {
			v.URL = f.href(file)
		}
	}
	return v
}

// safe returns attachments without paths outside of the module, which other readers must not open.
func safe(attached []reports.Attachment) (all []reports.Attachment) {
	for _, a := range attached {
		all = append(all, a.Safe())
	}
	return all
}

// attachedPaths returns the paths and addresses of the attachments of a spec, for texts.
func attachedPaths(s *reports.Spec) (all []string) {
	for i := range s.Attachments {
		if path := s.Attachments[i].Safe().Path; path != "" {
			all = append(all, path)
		}
	}
	return all
}

// addAttached adds the attachments of specs without a card to the details of their pages. Beyond
// maxAttached it adds a hint where to find them.
func addAttached(a *analysis.Analysis, details map[string]specDetails, files attachedFiles) {
	left := maxAttached
	for i := range a.Run.Suites.Specs {
		s := &a.Run.Suites.Specs[i]
		id := shortID(s)
		if _, card := details[id]; card || len(s.Attachments) == 0 {
			continue
		}
		var d specDetails
		if left -= len(s.Attachments); left >= 0 {
			d.Attached = files.views(s)
		} else {
			d.Attached = []attachedView{{Name: "not in this page, because there are too many", Note: "flujo-harness report --ctrf has all"}}
		}
		details[id] = d
	}
}
