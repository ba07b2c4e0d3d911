package suites_test

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/suites"
)

// mood is an enumeration that is encoded by name.
type mood int

func (m mood) MarshalText() ([]byte, error) {
	if m < 0 || m > 1 {
		return nil, fmt.Errorf("no mood %d", int(m))
	}
	return []byte([]string{"calm", "cross"}[m]), nil
}

func (m *mood) UnmarshalText(text []byte) error {
	for i, name := range []string{"calm", "cross"} {
		if name == string(text) {
			*m = mood(i)
			return nil
		}
	}
	return fmt.Errorf("no mood %q", text)
}

type chapter struct {
	Title string
	Parts []*chapter
}

// carried is what a scope with a value of any type points to. The compiler makes one instance of the
// engine for all pointers, and a new one for each struct.
type carried[T any] struct {
	Value T
	Steps int
}

// trip sends a value through a run: it is saved, loaded by another process in the middle of the
// run, saved again, and loaded at the end.
func trip[T any](ctx context.Context, value T) (back T, err error) {
	p, err := core.New("trip", core.Step("one", sign, func(*carried[T]) string { return "" }, func(c **carried[T], _ string) { (*c).Steps++ }),
		core.Human("pause", func(*carried[T]) string { return "" }, func(c **carried[T], _ bool) { (*c).Steps++ }))
	if err != nil {
		return back, err
	}
	path := GinkgoT().TempDir() + "/runs.db"
	b, err := sqlite.Open(ctx, path, sqlite.Process)
	if err != nil {
		return back, err
	}
	ran := suites.Run(ctx, b, p, key, &carried[T]{Value: value})
	if ran.Err != nil {
		Expect(b.Close()).To(Succeed())
		return back, ran.Err
	}
	Expect(b.Close()).To(Succeed())
	if b, err = sqlite.Open(ctx, path, sqlite.Process); err != nil {
		return back, err
	}
	defer func() { Expect(b.Close()).To(Succeed()) }()
	res, err := core.Signal(ctx, core.NewEngine(core.WithBackend(b)), p, key, ran.Result.Pauses[0].Token, true)
	if err == nil {
		Expect(res.Scope.Steps).To(Equal(2))
		snap, err := b.Load(ctx, key)
		Expect(snap, err).To(And(suites.HaveCompleted(), suites.ReplayIdentically(p)))
	}
	return res.Scope.Value, err
}

// returns checks that a value is unchanged after a run.
func returns[T any](value T) func(context.Context) {
	return func(ctx context.Context) {
		GinkgoHelper()
		back, err := trip(ctx, value)
		Expect(err).NotTo(HaveOccurred())
		Expect(reflect.DeepEqual(back, value)).To(BeTrue(), "%#v came back as %#v", value, back)
	}
}

// refuses checks that a value, or its type, is refused with an error that contains the texts.
func refuses[T any](value T, texts ...string) func(context.Context) {
	return func(ctx context.Context) {
		GinkgoHelper()
		_, err := trip(ctx, value)
		for _, text := range texts {
			Expect(err).To(MatchError(ContainSubstring(text)))
		}
	}
}

var _ = Describe("A value in the scope of a run", Label("category:serialization"), func() {
	same := func(ctx SpecContext, check func(context.Context)) { check(ctx) }
	half := time.FixedZone("half", 5*3600+1800)
	shared := &chapter{Title: "shared"}
	ring := &chapter{Title: "ring"}
	ring.Parts = []*chapter{ring}
	deep := &chapter{}
	for range 200 {
		deep = &chapter{Title: "d", Parts: []*chapter{deep}}
	}

	DescribeTable("is unchanged", same,
		Entry("integers that no float64 can hold", returns([]int64{math.MaxInt64, math.MinInt64, 1<<53 + 1})),
		Entry("unsigned integers", returns(map[uint64]uint64{math.MaxUint64: math.MaxUint64})),
		Entry("floats, the smallest, the largest and a tenth", returns([]float64{math.SmallestNonzeroFloat64, math.MaxFloat64, 0.1})),
		Entry("bytes that are no text", returns([]byte{0, 255, 128})),
		Entry("text with NUL, quotes, HTML and a rocket", returns("\x00 \"'\\ <b>&amp; \u2028 \U0001F680 e\u0301")),
		Entry("nil, empty and full slices", returns([][]int{nil, {}, {0}})),
		Entry("nil, empty and full maps", returns([]map[string]int{nil, {}, {"": 0}})),
		Entry("pointers, to nothing and to zero", returns([]*int{nil, new(int)})),
		Entry("enumerations, as values and as keys", returns(map[mood]mood{0: 1, 1: 0})),
		Entry("structs within structs", returns(&chapter{"book", []*chapter{{"one", nil}, nil, {"two", []*chapter{}}}})),
		Entry("200 levels of them", returns(deep)),
		Entry("a number of any size", returns(new(big.Int).Lsh(big.NewInt(3), 200))),
		Entry("what JSON itself knows, in an any", returns([]any{nil, true, "s", 1.5, []any{}, map[string]any{"a": nil}})),
		Entry("a megabyte", returns(strings.Repeat("0123456789abcdef", 1<<16))),
	)

	It("keeps the instant and the offset of a time", func(ctx SpecContext) {
		want := time.Date(2024, 2, 29, 1, 2, 3, 4, half)
		got, err := trip(ctx, want)
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(BeTemporally("==", want))
		_, offset := got.Zone()
		Expect(offset).To(Equal(5*3600 + 1800))
	})

	It("keeps the sign of zero", func(ctx SpecContext) {
		got, err := trip(ctx, math.Copysign(0, -1))
		Expect(err).NotTo(HaveOccurred())
		Expect(math.Signbit(got)).To(BeTrue())
	})

	DescribeTable("is refused, with its field and what to do, if it would change", same,
		Entry("not a number", refuses(map[string]float64{"score": math.NaN()}, `Value["score"]`, "JSON has no NaN: use a pointer or a flag")),
		Entry("infinity", refuses([]float64{1, math.Inf(-1)}, "Value[1]", "JSON has no -Inf")),
		Entry("text that is no UTF-8", refuses("a\xff", "Value", "use []byte for other data")),
		Entry("a ring", refuses(ring, "Value.Parts[0]", "it leads back to Value, of which it is a part: keep an identifier instead")),
		Entry("two pointers to one", refuses([]*chapter{shared, shared}, "Value[1]", "it is also stored at Value[0] and would come back as two")),
		Entry("an integer in an any", refuses[any](3, "Value", "an int in an any would come back as float64: give the field a concrete type")),
		Entry("a time of the year 10000", refuses(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "Value", "the year 10000")),
		Entry("a mood that there is not", refuses(mood(7), "Value", "no mood 7")),
	)

	DescribeTable("is refused before any run if its type cannot be stored", same,
		Entry("a channel", refuses[chan int](nil, "pipeline \"trip\": the scope cannot be used", "a chan has no stored form: keep it out of the scope")),
		Entry("a function", refuses[func()](nil, "a func has no stored form")),
		Entry("a field that is not exported", refuses(struct{ hidden int }{}, "an unexported field is not stored and would be lost: export it, or keep it out of the scope")),
		Entry("an interface", refuses[error](nil, "what an interface holds cannot be read back")),
	)

	It("is stored once if steps do not change it", func(ctx SpecContext) {
		quiet := core.Step("quiet", sign, text, func(*note, string) {})
		ran := saved(ctx, core.Loop("l", 5, nil, quiet, core.MaxIsSuccess()), step("loud", sign))
		Expect(ran).To(suites.HaveCompleted())
		for _, rec := range ran.Saved.Steps[:5] {
			Expect(rec.State).To(BeNil(), rec.Path)
		}
		Expect(ran.Saved.Steps[5].State).To(MatchJSON(`{"Text":"loud","Seen":null}`))
	})

	It("does not change in the record when the program changes it later", func(ctx SpecContext) {
		kept := map[string]int{"a": 1}
		p, err := core.New("p", core.Step("one", sign, func(carried[map[string]int]) string { return "" }, func(c *carried[map[string]int], _ string) { c.Value["b"] = 2 }))
		Expect(err).NotTo(HaveOccurred())
		ran := suites.Run(ctx, database(sqlite.Process), p, key, carried[map[string]int]{Value: kept})
		ran.Result.Scope.Value["c"] = 3
		Expect(kept).To(Equal(map[string]int{"a": 1}))
		Expect(ran.Saved.Start.State).To(MatchJSON(`{"Value":{"a":1},"Steps":0}`))
		Expect(ran.Saved.State).To(MatchJSON(`{"Value":{"a":1,"b":2},"Steps":0}`))
	})
})
