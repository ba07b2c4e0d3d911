//go:build !unix

package coretest

import "errors"

const canFreeze = false

func suspend(int) error { return errors.ErrUnsupported }

func wakeUp(int) error { return errors.ErrUnsupported }
