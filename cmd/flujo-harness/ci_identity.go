package main

import (
	"os"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/ci"
	"github.com/flujo/flujo-harness/reports"
)

// ciRun is what the variables of a CI service say of the run that it makes.
type ciRun struct {
	id     string // of the job and its attempt; "" outside of CI
	commit string
	branch string
	facts  []reports.Fact
	origin reports.Origin
}

// ciIdentity reads the variables of the CI service: see package ci.
func ciIdentity(getenv func(string) string) ciRun {
	of := ci.Identify(getenv, os.ReadFile)
	c := ciRun{id: of.ID, commit: of.Commit, branch: of.Branch, origin: of.Origin}
	if c.id == "" { // nothing says which run it is
		return c
	}
	o := of.Origin
	for _, f := range []reports.Fact{{Name: "CI service", Value: o.Service}, {Name: "CI job", Value: o.Job}, {Name: "CI page", Value: o.JobURL}} {
		if f.Value != "" {
			c.facts = append(c.facts, f)
		}
	}
	return c
}

// joined leaves out what is not there.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "/")
}
