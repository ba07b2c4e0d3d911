package runner

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Share is which part of the packages to run: the Index-th of N, from 1. The zero value is
// all of them. It is a flag.Value and a pflag.Value.
type Share struct{ Index, N int }

func (s *Share) String() string {
	if s.N == 0 {
		return "1/1"
	}
	return fmt.Sprintf("%d/%d", s.Index, s.N)
}

// Type names the value in the help.
func (s *Share) Type() string { return "I/N" }

func (s *Share) Set(text string) error {
	i, n, _ := strings.Cut(text, "/")
	var err1, err2 error
	s.Index, err1 = strconv.Atoi(i)
	s.N, err2 = strconv.Atoi(n)
	if err1 != nil || err2 != nil || s.Index < 1 || s.Index > s.N {
		return errors.New("use I/N, the I-th of N parts, from 1/N to N/N")
	}
	return nil
}

// has reports whether the part has the package at this place of the sorted list of all.
func (s *Share) has(place int) bool { return s.N == 0 || place%s.N == s.Index-1 }
