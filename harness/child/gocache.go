package child

import (
	"errors"
	"os"
)

// BuildCache returns an error where the go command has no folder for its build cache, as in a
// container without HOME: every build would fail, each in its own words.
func BuildCache() error {
	if os.Getenv("GOCACHE") != "" {
		return nil
	}
	if _, err := os.UserCacheDir(); err != nil { // the rule of the go command
		return errors.New("the go command has no folder for its build cache: set HOME, or GOCACHE to a folder that can be written to, as in GOCACHE=/tmp/go-build")
	}
	return nil
}
