package inspect

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/reports/render"
)

func TestDoctorExit(t *testing.T) {
	for _, tc := range []struct {
		advice machine.Advice
		strict bool
		code   int
	}{
		{machine.MeasureHere, true, 0},
		{machine.ProcessOnly, true, 0},
		{machine.NoTimings, true, cli.ExitInconclusive},
		{machine.NoTimings, false, 0},
	} {
		code := 0
		if exit := new(cli.ExitError); errors.As(inspectionExit(&machine.Inspection{Advice: tc.advice}, tc.strict), &exit) {
			code = exit.Code
		}
		if code != tc.code {
			t.Errorf("%q, strict %v: exit %d, want %d", tc.advice, tc.strict, code, tc.code)
		}
	}
}

func TestPlaceIsShown(t *testing.T) {
	p := &machine.Inspection{
		Checks: []machine.Check{
			{Name: "clock", Mark: machine.MarkOK, Finding: "smallest tick 50ns (n=20)"},
			{Name: "filesystem", Mark: machine.MarkUnknown, Finding: "the type of the file system cannot be determined", Do: "make sure that it is a local disk, of this machine and of no other one"},
			{Name: "race", Mark: machine.MarkBad, Finding: "built with -race", Do: "build without it"},
		},
		Advice: machine.NoTimings, Reasons: []string{"race"},
	}
	want := `ok       clock       smallest tick 50ns (n=20)
unknown  filesystem  the type of the file system cannot be
                     determined
bad      race        built with -race

do not gate on timings here, because of race
what to do:
  filesystem  make sure that it is a local disk, of this
              machine and of no other one
  race        build without it
`
	if got := inspectionText((render.Screen{Width: 60}), p); got != want {
		t.Error(cmp.Diff(want, got))
	}
	p.Checks, p.Advice, p.Reasons = p.Checks[:1], machine.MeasureHere, nil
	want = "ok       clock       smallest tick 50ns (n=20)\n\nmeasure here\n"
	if got := inspectionText((render.Screen{}), p); got != want {
		t.Error(cmp.Diff(want, got))
	}
}
