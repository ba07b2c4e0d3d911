package suites_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gmeasure"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/suites"
	"github.com/flujo/flujo-harness/thresholds"
)

var _ = Describe("The matcher for verdicts", Label("category:gate"), func() {
	verdict := func(o thresholds.Outcome) thresholds.Verdict {
		return thresholds.Verdict{Outcome: o, Reason: "because", Next: "do this", Margin: 0.1, Boundary: 1.05, Baseline: 1, Above: 3, N: 12}
	}

	It("passes what held and fails what is broken", func() {
		held := verdict(thresholds.Held)
		Expect(held).To(suites.Hold())
		Expect(&held).To(suites.Hold())
		Expect(verdict(thresholds.Broken)).NotTo(suites.Hold())
	})

	It("is an error, also with NotTo, if the result is unknown", func() {
		for _, o := range []thresholds.Outcome{thresholds.Inconclusive, thresholds.Invalid} {
			undecided(suites.Hold(), verdict(o), strings.ToUpper(o.String())+": because")
		}
		undecided(suites.Hold(), 1, "it got int")
		undecided(suites.Hold(), (*thresholds.Verdict)(nil), "Hold wants a thresholds.Verdict")
	})

	It("explains a failure with the figures", func() {
		text := suites.Hold().FailureMessage(verdict(thresholds.Broken))
		Expect(text).To(ContainSubstring("above it 3 of 12 blocks"))
		Expect(text).To(ContainSubstring("next: do this"))
	})

	It("judges samples of a gmeasure experiment", func() {
		e := gmeasure.NewExperiment("sort")
		for i := range 100 {
			e.RecordDuration("old", time.Duration(1000+i%7))
			e.RecordDuration("new", time.Duration(1500+i%5))
			e.RecordValue("size", 1)
		}
		before, err := suites.Samples(e, "old")
		Expect(err).NotTo(HaveOccurred())
		after, err := suites.Samples(e, "new")
		Expect(err).NotTo(HaveOccurred())
		d, err := harness.FromSamples("sort", before, after)
		Expect(err).NotTo(HaveOccurred())
		Expect(thresholds.JudgeDifference(d, 0.1, 1)).NotTo(suites.Hold())
		_, err = suites.Samples(e, "size")
		Expect(err).To(HaveOccurred())
		_, err = suites.Samples(e, "none")
		Expect(err).To(HaveOccurred())
	})
})
