//go:build race

package sqlite

// raced is whether the race detector, under which SQLite takes ten times as long, is on.
const raced = true
