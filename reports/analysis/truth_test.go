package analysis

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

// go test ./reports/analysis -run TestWhoseByTruth -v -histories 20
var histories = flag.Int("histories", 1, "generated histories that TestWhoseByTruth judges")

// world is a repository whose truth is known: which commit breaks and mends which spec.
type world struct {
	random *rand.Rand
	main   []map[int]bool // deterministic specs that are broken, by commit of main
	mended map[int]int    // by spec: commit of main from which it is mended
	flaky  []float64      // chance of failure of the last specs
	at     time.Time
	seen   map[int]bool // specs whose latest break of main a run of main has
}

const deterministic = 30

// change is a branch: specs that it breaks itself, on all platforms or on windows.
type change struct {
	name    string
	base    int // commit of main that it starts from
	broken  map[int]string
	renamed map[int]bool
	commits int
}

func newWorld(seed uint64) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 5)), mended: map[int]int{}, at: sample.Noon, seen: map[int]bool{}}
	for _, percent := range []float64{1, 2, 5, 10, 20, 30} {
		w.flaky = append(w.flaky, percent/100)
	}
	w.main = []map[int]bool{{}}
	return w
}

// advance adds a commit to main, which now and then is red for a few commits.
func (w *world) advance() {
	next := map[int]bool{}
	n := len(w.main)
	for spec := range w.main[n-1] {
		if w.mended[spec] > n {
			next[spec] = true
		}
	}
	if w.random.IntN(8) == 0 {
		spec := w.random.IntN(deterministic)
		next[spec], w.seen[spec], w.mended[spec] = true, w.seen[spec] && next[spec], n+1+w.random.IntN(5)
	}
	w.main = append(w.main, next)
}

func commitOfMain(i int) string { return fmt.Sprintf("%012x", 0xa000_0000_0000+i) }

// run is what CI records of a commit on one platform; c is nil on main.
func (w *world) run(base int, c *change, platform string) reports.Run {
	w.at = w.at.Add(time.Minute)
	r := reports.Run{Started: w.at, Branch: "main", Commit: commitOfMain(base), Complete: true, Format: "Ginkgo JSON", Key: fmt.Sprint(w.at.UnixNano()),
		Suites: &reports.Results{Suites: []reports.Suite{{Path: "shop"}}}}
	r.Origin = reports.Origin{BaseBranch: "main", OS: platform, Job: "test"}
	from := base - 1
	if c != nil {
		r.Branch, r.Commit, from = c.name, fmt.Sprintf("%s%08x", c.name[:4], c.commits), base
	}
	for i := from; i >= 0 && len(r.Origin.Ancestors) < 100; i-- {
		r.Origin.Ancestors = append(r.Origin.Ancestors, commitOfMain(i))
	}
	for spec := range deterministic + len(w.flaky) {
		s := reports.Spec{Suite: "shop", Leaf: fmt.Sprintf("spec %02d of the shop keeps its promise", spec), Occurrence: 1, State: reports.Passed, Attempts: 1}
		red := spec < deterministic && w.main[base][spec] || spec >= deterministic && w.random.Float64() < w.flaky[spec-deterministic]
		if c != nil {
			if on := c.broken[spec]; on == "all" || on != "" && on == platform {
				red = true
			}
			if c.renamed[spec] {
				s.Leaf += " always"
			}
		}
		if red {
			s.State, s.Message = reports.Failed, "it does not"
		}
		r.Suites.Specs = append(r.Suites.Specs, s)
	}
	return r
}

// score counts failures of branches by what is known of them.
type score struct {
	innocent, falseBlame int // red on main, and blamed on the change
	guilty, found        int // by the change, and said so
	unknown              int // of the guilty: said to be unknown, which is never green
	flakes, flakeBlame   int // failures of flakes, and blamed on the change
	branchBefore, newest int // the same, by the run before on the branch, and by the newest run of main
	unseen               int // red on main, at commits of which no run was made: nobody can know
	misses               []string
}

func failedIn(r *reports.Run, spec int) bool {
	return r != nil && r.Suites.Specs[spec].State == reports.Failed
}

// judge lets CI run for a while and compares each verdict on a branch with the truth.
func (w *world) judge(t *testing.T, rounds int, s *score) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	record := func(r reports.Run) {
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	newest, before := map[string]*reports.Run{}, map[string]*reports.Run{}
	var changes []*change
	for round := range rounds {
		w.advance()
		if w.random.IntN(10) > 0 { // not every commit of main has a run
			for _, platform := range []string{"linux", "windows"} {
				r := w.run(len(w.main)-1, nil, platform)
				record(r)
				newest[platform] = &r
				for spec := range w.main[len(w.main)-1] {
					w.seen[spec] = true
				}
			}
		}
		if round < 20 { // what is known of flakes has to come from somewhere
			continue
		}
		if len(changes) < 4 {
			c := &change{name: fmt.Sprintf("%04x-change", 0xb000+round), base: max(0, len(w.main)-1-w.random.IntN(6)), broken: map[int]string{}, renamed: map[int]bool{}}
			if w.random.IntN(4) == 0 {
				c.renamed[w.random.IntN(deterministic)] = true
			}
			changes = append(changes, c)
		}
		c := changes[w.random.IntN(len(changes))]
		c.commits++
		switch w.random.IntN(6) {
		case 0:
			c.base = len(w.main) - 1 // rebased
		case 1:
			clear(c.broken)
		case 2, 3:
			c.broken[w.random.IntN(deterministic)] = []string{"all", "all", "windows"}[w.random.IntN(3)]
		}
		for range 1 + w.random.IntN(5)/4 { // run again, now and then
			for _, platform := range []string{"linux", "windows"} {
				r := w.run(c.base, c, platform)
				record(r)
				a, err := Analyze(t.Context(), h, Options{})
				if err != nil {
					t.Fatal(err)
				}
				before[c.name+platform] = w.count(s, c, &r, a, before[c.name+platform], newest[platform])
			}
		}
		if c.commits > 4 {
			changes = slices.DeleteFunc(changes, func(o *change) bool { return o == c })
		}
	}
}

// count compares the verdicts on one run with the truth, and returns the run.
func (w *world) count(s *score, c *change, r *reports.Run, a *Analysis, before, newest *reports.Run) *reports.Run {
	whose := map[string]Failure{}
	for _, f := range a.Failures {
		whose[f.Spec.Leaf] = f
	}
	for i := range r.Suites.Specs {
		spec := &r.Suites.Specs[i]
		if spec.State != reports.Failed {
			continue
		}
		f := whose[spec.Leaf]
		blamed := f.Whose == ByThisChange
		switch {
		case i >= deterministic:
			s.flakes++
			for _, of := range []struct {
				blamed bool
				n      *int
			}{{blamed, &s.flakeBlame}, {before == nil && !failedIn(newest, i) || before != nil && !failedIn(before, i), &s.branchBefore}, {!failedIn(newest, i), &s.newest}} {
				if of.blamed {
					*of.n++
				}
			}
		case w.main[c.base][i]:
			s.innocent++
			switch {
			case blamed && !w.seen[i]:
				s.unseen++
			case blamed:
				s.falseBlame++
				s.misses = append(s.misses, fmt.Sprintf("blamed: %s on %s: %s", spec.Leaf, a.Baseline.Why, f.Why))
			}
		default:
			s.guilty++
			switch f.Whose {
			case ByThisChange:
				s.found++
			case Unknown:
				s.unknown++
			default:
				s.misses = append(s.misses, fmt.Sprintf("missed: %s is %s: %s: %s", spec.Leaf, f.Whose, a.Baseline.Why, f.Why))
			}
		}
	}
	return r
}

// Generated histories of which the truth is known: branches, rebases, red mains, flakes of 1
// to 30%, renames, a matrix of two platforms, runs again, commits without a run.
func TestWhoseByTruth(t *testing.T) {
	var s score
	for seed := range *histories {
		newWorld(uint64(seed)).judge(t, 60, &s)
	}
	t.Logf("%d histories: deterministic specs: %d of %d red on main blamed on the change, and %d that no run of main had seen; %d of %d broken by the change found, %d unknown; flakes: %d of %d blamed (run before on the branch: %d, newest of main: %d)",
		*histories, s.falseBlame, s.innocent, s.unseen, s.found, s.guilty, s.unknown, s.flakeBlame, s.flakes, s.branchBefore, s.newest)
	if s.falseBlame > 0 || s.found+s.unknown < s.guilty {
		t.Errorf("%d blamed falsely, %d of %d found and %d unknown:\n%v", s.falseBlame, s.found, s.guilty, s.unknown, s.misses)
	}
	if s.innocent == 0 || s.guilty < 10 || s.flakes < 10 {
		t.Errorf("the histories are too simple to show anything: %+v", s)
	}
	if s.unknown*5 > s.guilty {
		t.Errorf("%d of %d are unknown: saying nothing is no answer", s.unknown, s.guilty)
	}
	if s.flakeBlame > s.newest || s.flakeBlame > s.branchBefore {
		t.Errorf("flakes are blamed %d times, by the run before %d times, by the newest of main %d times", s.flakeBlame, s.branchBefore, s.newest)
	}
}
