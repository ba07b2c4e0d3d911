package suites_test

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/suites"
	"github.com/flujo/flujo-harness/thresholds"
)

// This compares code from outside this module with and without a wrapper: encoding/json, and a
// wrapper that does not escape HTML and writes no newline at the end.

type parcel struct {
	To    string
	Items []string
}

func plainly(p parcel) ([]byte, error) { return json.Marshal(p) }

func wrapped(p parcel) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(p)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// encoding returns a subject of a comparison. Its digest shows that all subjects have the same
// output.
func encoding(name string, encode func(parcel) ([]byte, error)) harness.Subject {
	p := parcel{To: "somebody", Items: strings.Fields(strings.Repeat("tea and sugar ", 20))}
	var last []byte
	s := harness.Func(name, func() (err error) {
		last, err = encode(p)
		return err
	})
	s.Digest = func() uint64 {
		h := fnv.New64a()
		h.Write(last)
		return h.Sum64()
	}
	return s
}

var _ = Describe("Encoding with a wrapper and without", Serial, Label("category:comparison", "workload:json"), func() {
	It("is compared live, interleaved, with equal work", func(ctx SpecContext) {
		// For a decision use the default plan, and Exec to measure in separate processes.
		differences, err := harness.Compare(ctx, harness.ComparePlan{Name: "json", Sessions: 2, Blocks: 1, Rounds: 2, Seed: uint64(GinkgoRandomSeed())},
			encoding("plainly", plainly), encoding("wrapped", wrapped))
		Expect(err).NotTo(HaveOccurred())
		verdict := thresholds.JudgeDifference(differences[0], 0.1, 1)
		Expect(verdict.Outcome).NotTo(Equal(thresholds.Invalid), verdict.Reason)
		AddReportEntry("json, wrapped against plainly", differences[0].Ratio.String())
		if verdict.Outcome == thresholds.Inconclusive { // two blocks are too few for a verdict
			undecided(suites.Hold(), verdict, "INCONCLUSIVE")
		}
	})

	It("is invalid if their outputs differ", func(ctx SpecContext) {
		other := func(p parcel) ([]byte, error) { p.To += "!"; return plainly(p) }
		differences, err := harness.Compare(ctx, harness.ComparePlan{Name: "json", Sessions: 2, Blocks: 1, Rounds: 2, Seed: 1},
			encoding("plainly", plainly), encoding("other", other))
		Expect(err).NotTo(HaveOccurred())
		undecided(suites.Hold(), thresholds.JudgeDifference(differences[0], 0.1, 1), `subject`)
	})

	It("is judged from samples, wherever they came from", func() {
		base, slower := make([]float64, 200), make([]float64, 200)
		for i := range base {
			base[i] = 1000 + float64(i%9)
			slower[i] = 1.3 * base[i]
		}
		same, err := harness.FromSamples("json", base, base)
		Expect(err).NotTo(HaveOccurred())
		Expect(thresholds.JudgeDifference(same, 0.1, 1)).To(suites.Hold())
		worse, err := harness.FromSamples("json", base, slower)
		Expect(err).NotTo(HaveOccurred())
		Expect(thresholds.JudgeDifference(worse, 0.1, 1)).NotTo(suites.Hold())
	})
})

func ExampleHold_comparison() {}
