// Package publish shows a run where a change is reviewed: in the summary on the page of its job,
// in annotations at lines of files, in a comment on the pull request, and in a check of its
// commit.
//
// Texts of tests are not trusted: secrets are removed from them, and markup and commands in them
// are escaped. A failure to publish is reported, but does not change the exit code.
package publish
