package project

import (
	"os"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/ci"
	"github.com/flujo/flujo-harness/reports"
)

// CIRun describes the current CI run according to the variables of the CI service.
type CIRun struct {
	ID     string // identifies the job and its attempt; "" outside of CI
	Commit string
	Branch string
	Facts  []reports.Fact

	OnBehalf bool // see [ci.Identity]
	origin   reports.Origin
}

// CIIdentity reads the variables of the CI service, see package ci.
func CIIdentity(getenv func(string) string) CIRun {
	of := ci.Identify(getenv, os.ReadFile)
	c := CIRun{ID: of.ID, Commit: of.Commit, Branch: of.Branch, OnBehalf: of.OnBehalf, origin: of.Origin}
	if c.ID == "" { // not in CI, or the service does not identify its runs
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

// Pipeline returns the ID of this job's pipeline, or of the pipeline on whose behalf the job runs, or
// "".
func (c CIRun) Pipeline() string { return c.origin.Pipeline }

// SamePipeline reports whether a run belongs to the pipeline and the attempt of this job, or of the
// job on whose behalf this job runs.
func (c CIRun) SamePipeline(o reports.Origin) bool {
	return o.Service == c.origin.Service && o.Pipeline == c.origin.Pipeline && o.Attempt == c.origin.Attempt
}

// Joined joins the non-empty parts with slashes.
func Joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "/")
}
