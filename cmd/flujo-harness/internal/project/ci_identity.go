package project

import (
	"os"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/ci"
	"github.com/flujo/flujo-harness/reports"
)

// CIRun is what the variables of a CI service say of the run that it makes.
type CIRun struct {
	ID     string // of the job and its attempt; "" outside of CI
	Commit string
	Branch string
	Facts  []reports.Fact

	OnBehalf bool // see [ci.Identity]
	origin   reports.Origin
}

// CIIdentity reads the variables of the CI service: see package ci.
func CIIdentity(getenv func(string) string) CIRun {
	of := ci.Identify(getenv, os.ReadFile)
	c := CIRun{ID: of.ID, Commit: of.Commit, Branch: of.Branch, OnBehalf: of.OnBehalf, origin: of.Origin}
	if c.ID == "" { // nothing says which run it is
		return c
	}
	o := of.Origin
	for _, f := range []reports.Fact{{Name: "CI service", Value: o.Service}, {Name: "CI job", Value: o.Job}, {Name: "CI page", Value: o.JobURL}} {
		if f.Value != "" {
			c.Facts = append(c.Facts, f)
		}
	}
	return c
}

// Pipeline is the number of the pipeline of the job, or of the one on whose behalf it is; "" where
// there is none.
func (c CIRun) Pipeline() string { return c.origin.Pipeline }

// SamePipeline reports whether a run was made by the pipeline and the attempt of this job, or on
// whose behalf it is.
func (c CIRun) SamePipeline(o reports.Origin) bool {
	return o.Service == c.origin.Service && o.Pipeline == c.origin.Pipeline && o.Attempt == c.origin.Attempt
}

// Joined leaves out what is not there.
func Joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "/")
}
