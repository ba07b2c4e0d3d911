// Package publish shows a run where people look at a change: the summary on the page of its job,
// annotations at lines of files, one comment on the pull request, and a check of its commit.
//
// Texts of tests go through here to places that obey markup: they are shown as they are, without
// secrets, and nothing in them acts. What cannot be published is said and changes no exit code.
package publish
