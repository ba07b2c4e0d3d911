package reports

import (
	"fmt"
	"regexp"
	"strings"
)

// Origin says which change a run tested and which job made it. Every field may be empty:
// then it is unknown. Runs from before it was recorded have the zero value.
type Origin struct {
	Module      string   `json:",omitempty"` // path of the Go module
	Repository  string   `json:",omitempty"` // "github.com/owner/name"
	Subject     string   `json:",omitempty"` // first line of the message of the commit
	Service     string   `json:",omitempty"` // CI service: "github"; "" outside of CI
	BaseBranch  string   `json:",omitempty"` // branch that the change goes into; on that branch itself, its own name
	Ancestors   []string `json:",omitempty"` // commits to compare with, see [Ancestry]
	Problem     string   `json:",omitempty"` // why Ancestors is empty or short, and what to do
	MergeCommit string   `json:",omitempty"` // the commit that was checked out, where it merges [Run.Commit] into the base branch
	PullRequest string   `json:",omitempty"` // its number
	Fork        bool     `json:",omitempty"` // of a pull request from another repository: no run is compared with this one
	Pipeline    string   `json:",omitempty"` // of the CI run that all its jobs share
	Attempt     int      `json:",omitempty"` // of the pipeline or the job: 1, 2, …
	Job         string   `json:",omitempty"`
	OS          string   `json:",omitempty"` // as in GOOS
	Arch        string   `json:",omitempty"` // as in GOARCH
	Go          string   `json:",omitempty"` // "go1.26": without the number of the patch
	Variant     string   `json:",omitempty"` // further coordinates of the job in its matrix
	Shard       string   `json:",omitempty"` // "2/3"
	CommitURL   string   `json:",omitempty"`
	JobURL      string   `json:",omitempty"`
	FileURL     string   `json:",omitempty"` // beginning of the address of a file at the commit: a path is appended

	Selection Selection `json:",omitzero"`
}

// Ancestry is what git says about the place of a commit in its repository.
type Ancestry struct {
	// Commits are those that the commit can be compared with, the nearest first: of a change
	// its merge base with the base branch, on the base branch itself its first parent; then
	// first parents. Commits may be abbreviated to 12 digits.
	Commits []string
	Problem string // why there are none, or fewer than there might be, and what to do
}

// Selection says which tests a run was asked for. The zero value is all of them.
type Selection struct {
	Partial  bool   `json:",omitempty"` // not all tests of the module were asked for
	Filtered bool   `json:",omitempty"` // some tests of the packages that ran were not asked for either
	Asked    string `json:",omitempty"` // in words: "./orders --label-filter=slow"
	Dealt    *Dealt `json:",omitempty"` // of a part of a run: which packages it has; nil: none is known
}

// Cell names the place of a job in the matrix of its CI run. Runs of one cell at two
// commits can be compared directly.
func (o Origin) Cell() string {
	if o.Job == "" && o.Shard == "" && o.Platform() == "" {
		return "" // as of runs from before it was recorded
	}
	return strings.Join([]string{o.Job, o.Platform(), o.Shard}, "|")
}

// Platform is the part of the cell that tests may depend on: "windows/amd64 go1.26".
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

// CheckCommit refuses what is no name of a commit: 7 to 64 hexadecimal digits in lower case, or
// "" where the commit is unknown. Commits come from files, flags and variables of CI, are given to
// git and shown in many places.
func CheckCommit(commit string) error {
	if commit == "" || commitID.MatchString(commit) {
		return nil
	}
	return fmt.Errorf("%q is not a commit: give 7 to 64 hexadecimal digits in lower case (git rev-parse HEAD)", commit)
}

// SameCommit reports whether two names of commits mean the same one. Either may be
// abbreviated; an empty one is never the same as another.
func SameCommit(a, b string) bool {
	return a != "" && b != "" && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
}
