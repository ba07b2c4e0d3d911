package suites

import (
	"errors"
	"fmt"

	"github.com/onsi/gomega/gmeasure"
	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/thresholds"
)

// Hold succeeds if a [thresholds.Verdict] is held, and fails if it is broken. An inconclusive or
// invalid verdict is an error, which fails both To and NotTo, so that an undecided question never
// passes by accident.
func Hold() types.GomegaMatcher { return holds{} }

type holds struct{}

func (holds) Match(actual any) (bool, error) {
	j, err := judgedOf(actual)
	if err != nil {
		return false, err
	}
	switch j.Verdict.Outcome {
	case thresholds.Held:
		return true, nil
	case thresholds.Broken:
		return false, nil
	}
	return false, errors.New(j.String())
}

func (holds) FailureMessage(actual any) string { return "to hold, but " + told(actual) }

func (holds) NegatedFailureMessage(actual any) string { return "not to hold, but " + told(actual) }

func judgedOf(actual any) (thresholds.Judged, error) {
	switch v := actual.(type) {
	case thresholds.Judged:
		return v, nil
	case thresholds.Verdict:
		return thresholds.Judged{Verdict: v}, nil
	case *thresholds.Verdict:
		if v != nil {
			return thresholds.Judged{Verdict: *v}, nil
		}
	}
	return thresholds.Judged{}, fmt.Errorf("Hold wants a thresholds.Verdict, of thresholds.Judge or JudgeDifference, or a thresholds.Judged; it got %T", actual)
}

func told(actual any) string {
	j, err := judgedOf(actual)
	if err != nil {
		return err.Error()
	}
	return j.String()
}

// Samples returns the durations of a measurement of a gmeasure experiment, in ns, as input for
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
