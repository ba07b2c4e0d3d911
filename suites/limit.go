package suites

import (
	"fmt"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// HoldLimit succeeds if a [harness.Comparison] of the workload holds its limit in the directory
// limits, according to [thresholds.Judge], and fails if it breaks the limit. Other outcomes are
// errors, as in [Hold], and so are a missing limit and a comparison of another workload. It also
// accepts a [thresholds.Judged] and uses its verdict.
func HoldLimit(workload, limits string) types.GomegaMatcher {
	return &holdsLimit{workload: workload, limits: limits}
}

type holdsLimit struct {
	holds
	workload, limits string
	judged           thresholds.Judged
}

// Match implements types.GomegaMatcher.
func (m *holdsLimit) Match(actual any) (bool, error) {
	m.judged = thresholds.Judged{}
	switch v := actual.(type) {
	case *harness.Comparison:
		m.judged.Comparison = v
	case thresholds.Judged:
		m.judged = v
	}
	c := m.judged.Comparison
	switch {
	case c == nil:
		return false, wrongType("HoldLimit", "a *harness.Comparison, or a thresholds.Judged with one", actual)
	case c.Workload != m.workload:
		return false, fmt.Errorf("HoldLimit wants workload %q; this comparison is of %q", m.workload, c.Workload)
	}
	if _, ok := actual.(thresholds.Judged); !ok {
		file, err := thresholds.Load(m.limits, c.Environment.Class)
		if err != nil {
			return false, err
		}
		m.judged.Verdict = thresholds.Judge(c, file, time.Now())
	}
	return m.holds.Match(m.judged)
}

// FailureMessage implements types.GomegaMatcher.
func (m *holdsLimit) FailureMessage(any) string { return m.holds.FailureMessage(m.judged) }

// NegatedFailureMessage implements types.GomegaMatcher.
func (m *holdsLimit) NegatedFailureMessage(any) string {
	return m.holds.NegatedFailureMessage(m.judged)
}
