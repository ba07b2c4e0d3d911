// Package text formats numbers, names and places in the one style that all outputs of the
// reports share.
package text
