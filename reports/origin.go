package reports

import (
	"fmt"
	"regexp"
	"strings"
)

// Origin describes the change that a run tested and the job that ran it. Empty fields are
// unknown.
type Origin struct {
	Module      string   `json:",omitempty"` // path of the Go module
	Repository  string   `json:",omitempty"` // "github.com/owner/name"
	Subject     string   `json:",omitempty"` // first line of the commit message
	Service     string   `json:",omitempty"` // CI service, such as "github"; "" outside of CI
	BaseBranch  string   `json:",omitempty"` // branch that the change is for; on that branch itself, its own name
	Ancestors   []string `json:",omitempty"` // commits to compare with, see [Ancestry]
	Problem     string   `json:",omitempty"` // why Ancestors is empty or incomplete, with a remedy
	MergeCommit string   `json:",omitempty"` // commit that was checked out, if it merges [Run.Commit] into the base branch
	PullRequest string   `json:",omitempty"` // number
	Fork        bool     `json:",omitempty"` // pull request from another repository: never a baseline run
	Pipeline    string   `json:",omitempty"` // ID of the CI run, shared by its jobs
	Attempt     int      `json:",omitempty"` // attempt of the pipeline or job, from 1
	Job         string   `json:",omitempty"`
	OS          string   `json:",omitempty"` // as in GOOS
	Arch        string   `json:",omitempty"` // as in GOARCH
	Go          string   `json:",omitempty"` // "go1.26", without the patch version
	Variant     string   `json:",omitempty"` // other coordinates of the job in its matrix
	Shard       string   `json:",omitempty"` // "2/3"
	CommitURL   string   `json:",omitempty"`
	JobURL      string   `json:",omitempty"`
	FileURL     string   `json:",omitempty"` // web address to which a file's path is appended

	Selection Selection `json:",omitzero"`
}

// Ancestry is the history of a commit according to git.
type Ancestry struct {
	// Commits are the commits to compare with, nearest first. They start with the merge base of
	// the commit and the base branch or, on the base branch, with the commit's first parent, and
	// continue with first parents. They may be abbreviated to 12 digits.
	Commits []string
	Problem string // why Commits is empty or incomplete, with a remedy
}

// Selection describes which tests a run was asked to execute. The zero value means all.
type Selection struct {
	Partial  bool   `json:",omitempty"` // excludes some tests of the module
	Filtered bool   `json:",omitempty"` // excludes some tests of the packages that ran
	Asked    string `json:",omitempty"` // as given, such as "./orders --label-filter=slow"
	Dealt    *Dealt `json:",omitempty"` // packages of a shard; nil if unknown
}

// Cell identifies the job within the matrix of its CI run. Runs of one cell at two commits can
// be compared directly.
func (o Origin) Cell() string {
	if o.Job == "" && o.Shard == "" && o.Platform() == "" {
		return "" // recorded outside of CI
	}
	return strings.Join([]string{o.Job, o.Platform(), o.Shard}, "|")
}

// Platform returns the part of the cell that tests may depend on, such as
// "windows/amd64 go1.26".
func (o Origin) Platform() string {
	machine := o.OS
	if o.Arch != "" {
		machine += "/" + o.Arch
	}
	var parts []string
	for _, p := range []string{machine, o.Go, o.Variant} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, " ")
}

var commitID = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// CheckCommit returns an error unless commit is a hash of 7 to 64 lower-case hexadecimal digits
// or "", which means unknown. Commits come from files, flags and CI variables, and are passed to
// git.
func CheckCommit(commit string) error {
	if commit == "" || commitID.MatchString(commit) {
		return nil
	}
	return fmt.Errorf("%q is not a commit: use 7 to 64 lower-case hexadecimal digits (git rev-parse HEAD)", commit)
}

// SameCommit reports whether a and b are the same commit. Either may be abbreviated. An empty
// hash never equals another.
func SameCommit(a, b string) bool {
	return a != "" && b != "" && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
}
