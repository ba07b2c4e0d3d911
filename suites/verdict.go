package suites

import (
	"errors"
	"fmt"
	"strings"

	"github.com/onsi/gomega/gmeasure"
	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/thresholds"
)

// Hold succeeds where a [thresholds.Verdict] held, and fails where it is broken. Where
// it is inconclusive or invalid it is an error, which neither To nor NotTo accepts:
// what was not found out must not pass by accident.
func Hold() types.GomegaMatcher { return holds{} }

type holds struct{}

func (holds) Match(actual any) (bool, error) {
	v, err := verdictOf(actual)
	if err != nil {
		return false, err
	}
	switch v.Outcome {
	case thresholds.Held:
		return true, nil
	case thresholds.Broken:
		return false, nil
	}
	return false, errors.New(tell(v))
}

func (holds) FailureMessage(actual any) string { return "to hold, but " + told(actual) }

func (holds) NegatedFailureMessage(actual any) string { return "not to hold, but " + told(actual) }

func verdictOf(actual any) (thresholds.Verdict, error) {
	switch v := actual.(type) {
	case thresholds.Verdict:
		return v, nil
	case *thresholds.Verdict:
		if v != nil {
			return *v, nil
		}
	}
	return thresholds.Verdict{}, fmt.Errorf("Hold wants a thresholds.Verdict, of thresholds.Judge or JudgeDifference; it got %T", actual)
}

func told(actual any) string {
	v, err := verdictOf(actual)
	if err != nil {
		return err.Error()
	}
	return tell(v)
}

// tell is a verdict with the figures that explain it.
func tell(v thresholds.Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "the verdict is %s: %s\n", v.Outcome, v.Reason)
	fmt.Fprintf(&b, "  boundary  %.4g (baseline %.4g, margin %.3g%%), above it %d of %d blocks\n", v.Boundary, v.Baseline, 100*v.Margin, v.Above, v.N)
	for _, s := range v.Self {
		fmt.Fprintf(&b, "  %s: %s, must be %s (%d of %d above)\n", s.Name, s.Got, s.Want, s.Above, s.N)
	}
	for _, n := range v.Notes {
		fmt.Fprintf(&b, "  note: %s\n", n)
	}
	fmt.Fprintf(&b, "  next: %s", v.Next)
	return b.String()
}

// Samples are the durations of a measurement of a gmeasure experiment, in ns, for
// harness.FromSamples.
func Samples(e *gmeasure.Experiment, measurement string) ([]float64, error) {
	m := e.Get(measurement)
	if m.Type != gmeasure.MeasurementTypeDuration {
		return nil, fmt.Errorf("experiment %q has no measurement of durations named %q", e.Name, measurement)
	}
	samples := make([]float64, len(m.Durations))
	for i, d := range m.Durations {
		samples[i] = float64(d)
	}
	return samples, nil
}
