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

// name completes what a report says of where a run comes from: the module, the repository, the
// subject of the commit, and, where CI does not give them, the addresses of commit and files.
func (p Project) name(ctx context.Context, r *reports.Run) {
	o := &r.Origin
	if text, err := os.ReadFile(filepath.Join(p.Root, "go.mod")); err == nil {
		o.Module = modfile.ModulePath(text)
	}
	prefix, err := p.Git(ctx, "rev-parse", "--show-prefix") // "sub/": where the module lies in its repository
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
		if seen, err := p.Git(ctx, "for-each-ref", "--count=1", "--contains="+r.Commit, "refs/remotes"); err == nil && seen != "" { // else the links would lead nowhere
			o.CommitURL, o.FileURL = cmp.Or(o.CommitURL, commit), files
		}
	}
	if o.FileURL != "" {
		o.FileURL += (&url.URL{Path: prefix}).EscapedPath()
	}
}

// scpAddress is the short form of git's addresses: user@host:path.
var scpAddress = regexp.MustCompile(`^(?:[^@/\\]+@)?([A-Za-z0-9.-]+\.[A-Za-z]{2,}):([^\\]+)$`)

// repositoryName is "github.com/owner/name" of the address of a remote, "" of one that is a
// folder. Users, passwords and ports are no part of it.
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

// webAddresses are those of a commit and of the folder of its files, "" where the service that
// keeps the repository is not known.
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
