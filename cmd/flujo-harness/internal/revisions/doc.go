// Package revisions reads limits and plans from another git revision and checks revisions out
// for comparisons.
package revisions
