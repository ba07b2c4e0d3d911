package project

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/flujo/flujo-harness/reports"
)

// name completes the origin of a run for reports: the module, the repository, the subject of the
// commit, and, unless CI provides them, the web addresses of the commit and its files.
func (p Project) name(ctx context.Context, r *reports.Run) {
	o := &r.Origin
	if text, err := os.ReadFile(filepath.Join(p.Root, "go.mod")); err == nil {
		o.Module = modfile.ModulePath(text)
	}
	prefix, err := p.Git(ctx, "rev-parse", "--show-prefix") // "sub/": the module's folder in the repository
	if err != nil {
		return
	}
	if address, err := p.Git(ctx, "config", "--get", "remote.origin.url"); err == nil {
		o.Repository = repositoryName(address)
	}
	if r.Commit == "" || strings.HasPrefix(r.Commit, "-") {
		return
	}
	if o.Subject, err = p.Git(ctx, "log", "-1", "--format=%s", r.Commit, "--"); err != nil {
		o.Subject = ""
	}
	if commit, files := webAddresses(o.Repository, r.Commit); o.FileURL == "" && commit != "" {
		if seen, err := p.Git(ctx, "for-each-ref", "--count=1", "--contains="+r.Commit, "refs/remotes"); err == nil && seen != "" { // links to commits that were not pushed would be broken
			o.CommitURL, o.FileURL = cmp.Or(o.CommitURL, commit), files
		}
	}
	if o.FileURL != "" {
		o.FileURL += (&url.URL{Path: prefix}).EscapedPath()
	}
}

// scpAddress matches the short form of git addresses, user@host:path.
var scpAddress = regexp.MustCompile(`^(?:[^@/\\]+@)?([A-Za-z0-9.-]+\.[A-Za-z]{2,}):([^\\]+)$`)

// repositoryName returns "github.com/owner/name" for the address of a remote, without user,
// password and port, and "" for a folder.
func repositoryName(address string) string {
	host, name := "", ""
	if m := scpAddress.FindStringSubmatch(address); m != nil {
		host, name = m[1], m[2]
	} else if u, err := url.Parse(address); err == nil && u.Scheme != "file" {
		host, name = u.Hostname(), u.Path
	}
	name = strings.TrimSuffix(strings.Trim(name, "/"), ".git")
	if host == "" || name == "" {
		return ""
	}
	return path.Join(host, name)
}

// webAddresses returns the web addresses of a commit and of its files, or "" for an unknown
// hosting service.
func webAddresses(repository, commit string) (commitURL, fileURL string) {
	host, _, _ := strings.Cut(repository, "/")
	at := "https://" + repository
	switch host {
	case "github.com":
		return at + "/commit/" + commit, at + "/blob/" + commit + "/"
	case "gitlab.com":
		return at + "/-/commit/" + commit, at + "/-/blob/" + commit + "/"
	case "codeberg.org":
		return at + "/commit/" + commit, at + "/src/commit/" + commit + "/"
	case "bitbucket.org":
		return at + "/commits/" + commit, at + "/src/" + commit + "/"
	}
	return "", ""
}
