package codec

import (
	"errors"
	"math"
	"math/big"
	"reflect"
	"testing"
	"time"
)

type (
	part struct {
		X, Y int
	}
	branchState struct {
		part
		Title string
		Tags  []string
		Score map[string]part
		Deep  *branchState
		At    time.Time
		F     float64
		Big   *big.Int
		Any   any
		Fixed [2]int
	}
)

// ended is a branch, as core.Ended is.
type ended[S any] struct {
	Name  string
	Scope S
	Err   error
}

// disjoint merges the branches that succeeded, as core.Disjoint does.
func disjoint[S any](into *S, branches []ended[S]) error {
	var names []string
	var scopes []*S
	for i := range branches {
		if branches[i].Err == nil {
			names, scopes = append(names, branches[i].Name), append(scopes, &branches[i].Scope)
		}
	}
	return Merge(into, names, scopes)
}

func start() *branchState {
	return &branchState{Title: "t", Tags: []string{"a"}, Score: map[string]part{"a": {1, 1}, "b": {2, 2}}, Deep: &branchState{Title: "in"},
		At: time.Unix(100, 0).UTC(), F: math.NaN(), Big: big.NewInt(5), Any: []any{math.NaN()}}
}

// splitState merges branches, each a change of its own copy of the start.
func splitState(t *testing.T, into *branchState, changes ...func(*branchState)) error {
	t.Helper()
	c, err := New[branchState]()
	if err != nil {
		t.Fatal(err)
	}
	var branches []ended[branchState]
	for i, change := range changes {
		scope, err := c.Copy(into)
		if err != nil {
			t.Fatal(err)
		}
		change(&scope)
		branches = append(branches, ended[branchState]{Name: string(rune('A' + i)), Scope: scope})
	}
	return disjoint(into, branches)
}

func isSame(a, b *branchState) bool {
	s, _ := shapeOf(reflect.TypeFor[branchState]())
	return same(s, reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
}

func TestMergeTakesOverWhatEachBranchChanged(t *testing.T) {
	got, want := start(), start()
	deep := got.Deep
	err := splitState(t, got,
		func(f *branchState) { f.X = 1; f.Score["a"] = part{9, 9}; f.Deep.Tags = []string{} },
		func(f *branchState) { f.Y = 2; delete(f.Score, "b"); f.Deep.Deep = &branchState{}; f.F = 3 },
		func(f *branchState) {
			f.Tags = append(f.Tags, "b")
			f.Score["c"] = part{}
			f.Deep.Title = ""
			f.Any = nil
		},
		func(*branchState) {},
		func(f *branchState) {
			f.Tags = []string{"a", "b"}
			f.At = f.At.Add(1)
			f.Big.SetInt64(7)
			f.Fixed[1] = 1
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	want.X, want.Y, want.F, want.Any, want.Fixed[1] = 1, 2, 3, nil, 1
	want.Tags, want.Score = []string{"a", "b"}, map[string]part{"a": {9, 9}, "c": {}}
	want.Deep.Tags, want.Deep.Deep, want.Deep.Title = []string{}, &branchState{}, ""
	want.At, want.Big = want.At.Add(1), big.NewInt(7)
	if !isSame(got, want) {
		t.Errorf("\ngot  %+v\nwant %+v", got, want)
	}
	if deep.Title != "in" {
		t.Error("the object that into pointed to was changed: it may belong to others")
	}
}

func TestMergeNamesConflicts(t *testing.T) {
	for field, tc := range map[string][2]func(*branchState){
		"part.X":     {func(f *branchState) { f.X = 1 }, func(f *branchState) { f.X = 2 }},
		"Tags":       {func(f *branchState) { f.Tags[0] = "x" }, func(f *branchState) { f.Tags = append(f.Tags, "y") }},
		`Score["a"]`: {func(f *branchState) { f.Score["a"] = part{1, 2} }, func(f *branchState) { f.Score["a"] = part{2, 1} }},
		`Score["b"]`: {func(f *branchState) { delete(f.Score, "b") }, func(f *branchState) { f.Score["b"] = part{2, 1} }},
		`Score["n"]`: {func(f *branchState) { f.Score["n"] = part{} }, func(f *branchState) { f.Score["n"] = part{X: 1} }},
		"Deep.Title": {func(f *branchState) { f.Deep.Title = "1" }, func(f *branchState) { f.Deep.Title = "2" }},
		"Deep":       {func(f *branchState) { f.Deep = nil }, func(f *branchState) { f.Deep.Title = "2" }},
		"Deep.Deep":  {func(f *branchState) { f.Deep.Deep = &branchState{F: 1} }, func(f *branchState) { f.Deep.Deep = &branchState{F: 2} }},
		"At":         {func(f *branchState) { f.At = f.At.Add(1) }, func(f *branchState) { f.At = f.At.Add(2) }},
		"F":          {func(f *branchState) { f.F = 0 }, func(f *branchState) { f.F = math.Copysign(0, -1) }},
		"Big":        {func(f *branchState) { f.Big.SetInt64(1) }, func(f *branchState) { f.Big = nil }},
		"Any":        {func(f *branchState) { f.Any = 1.0 }, func(f *branchState) { f.Any = "1" }},
		"Fixed":      {func(f *branchState) { f.Fixed[0] = 1 }, func(f *branchState) { f.Fixed[1] = 1 }},
	} {
		got := start()
		err := splitState(t, got, func(f *branchState) { f.Title = "other" }, tc[0], tc[1])
		var conflict *ConflictError
		if !errors.As(err, &conflict) || *conflict != (ConflictError{field, "B", "C"}) {
			t.Errorf("%s: error %v", field, err)
		}
		if !isSame(got, start()) {
			t.Errorf("%s: into was changed: %+v", field, got)
		}
	}
	const want = `branches "B" and "C" both changed Tags, to different values: let only one of them change it, or merge with a function of your own`
	if got := (&ConflictError{"Tags", "B", "C"}).Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMergeKeepsNilApartFromEmpty(t *testing.T) {
	into := &branchState{}
	if err := splitState(t, into, func(f *branchState) { f.Tags, f.Score = []string{}, map[string]part{} }, func(*branchState) {}); err != nil || into.Tags == nil || into.Score == nil {
		t.Errorf("%+v, error %v", into, err)
	}
	if err := splitState(t, into, func(f *branchState) { f.Tags, f.Score = nil, nil }, func(*branchState) {}); err != nil || into.Tags != nil || into.Score != nil {
		t.Errorf("%+v, error %v", into, err)
	}
	if err := splitState(t, into, func(f *branchState) { f.Score = map[string]part{"a": {}} }, func(f *branchState) { f.Score = map[string]part{"b": {}} }); err != nil || len(into.Score) != 2 {
		t.Errorf("%+v, error %v", into, err)
	}
}

func TestMergeOfBranchesThatFailedAndOfOtherScopes(t *testing.T) {
	n := 1
	if err := disjoint(&n, []ended[int]{{"a", 2, nil}, {"b", 3, errors.New("no")}, {"c", 2, nil}, {"d", 1, nil}}); err != nil || n != 2 {
		t.Errorf("%d, error %v", n, err)
	}
	var conflict *ConflictError
	if err := disjoint(&n, []ended[int]{{"a", 3, nil}, {"b", 4, nil}}); !errors.As(err, &conflict) || conflict.Field != "" || n != 2 {
		t.Errorf("%d, error %v", n, err)
	}
	m := map[level]int{0: 1}
	if err := disjoint(&m, []ended[map[level]int]{{"a", map[level]int{0: 2}, nil}, {"b", map[level]int{0: 3}, nil}}); !errors.As(err, &conflict) || conflict.Field != `["low"]` {
		t.Errorf("error %v", err)
	}
	var ch chan int
	var refused *TypeError
	if err := disjoint(&ch, nil); !errors.As(err, &refused) {
		t.Errorf("error %v", err)
	}
	p := &part{1, 1}
	if err := disjoint(&p, []ended[*part]{{"a", &part{2, 1}, nil}, {"b", &part{1, 2}, nil}}); err != nil || *p != (part{2, 2}) {
		t.Errorf("%v, error %v", p, err)
	}
	hid := map[string]hidden{"a": {[]int{1}}}
	hb := func(n int) map[string]hidden { return map[string]hidden{"a": {make([]int, n, 9)}} }
	if err := disjoint(&hid, []ended[map[string]hidden]{{"a", hb(1), nil}, {"b", hb(2), nil}}); err != nil || len(hid["a"].words) != 2 {
		t.Errorf("%v, error %v: opaque values are the same where they are stored as the same", hid, err)
	}
	if err := disjoint(&badClone{[]int{1}}, nil); err == nil {
		t.Error("no error of a scope that cannot be copied")
	}
	zone := time.Unix(0, 0).In(time.FixedZone("", 3600))
	at := time.Unix(0, 0).UTC()
	equal := time.Unix(0, 0).In(time.FixedZone("", 3600))
	if err := disjoint(&at, []ended[time.Time]{{"a", zone, nil}, {"b", at, nil}, {"c", equal, nil}}); err != nil || at != zone {
		t.Errorf("%v, error %v", at, err)
	}
}

// A ring cannot be stored, but a run that is not stored may have one.
func TestMergeEndsInARing(t *testing.T) {
	ring := func() *node {
		n := &node{Next: &node{}}
		n.Next.Next, n.Next.Back, n.Back = n, n, n.Next
		return n
	}
	base, a, b := ring(), ring(), ring()
	a.X, b.Next.Y = 1, 2
	if err := disjoint(&base, []ended[*node]{{"same", ring(), nil}, {"a", a, nil}, {"b", b, nil}}); err != nil || base.X != 1 || base.Next.Y != 2 || base.Next.Next != base {
		t.Errorf("%+v, error %v", base, err)
	}
}

type node struct {
	X, Y       int
	Next, Back *node
}
