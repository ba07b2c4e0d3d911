//go:build !linux

package sqlite

import "errors"

// filesystem cannot be found out here.
func filesystem(string) (uint32, error) { return 0, errors.ErrUnsupported }
