package analysis

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/sample"
	"github.com/flujo/flujo-harness/reports/quarantine"
)

// runsOf returns runs in a short form: "branch commit:cells", then options: "<a,b" ancestors, "^main" the
// base branch, "@windows" a platform, "!fork", "!partial".
func runsOf(t *testing.T, texts ...string) []reports.Run {
	t.Helper()
	var all []reports.Run
	for i, line := range texts {
		branch, rest, _ := strings.Cut(line, " ")
		words := strings.Split(rest, " ")
		var options []string
		cells := words[0]
		for _, w := range words[1:] {
			if strings.ContainsAny(w[:min(1, len(w))], "<^@!") {
				options = append(options, w)
			} else {
				cells += " " + w
			}
		}
		r := sample.CellsRun(i, cells)
		r.Branch = strings.TrimPrefix(branch, "-")
		for _, o := range options {
			switch o[0] {
			case '<':
				r.Origin.Ancestors = strings.Split(o[1:], ",")
			case '^':
				r.Origin.BaseBranch = o[1:]
			case '@':
				r.Origin.OS, r.Origin.Job = o[1:], "test"
			}
			switch o {
			case "!fork":
				r.Origin.Fork = true
			case "!partial":
				r.Origin.Selection = reports.Selection{Partial: true, Filtered: true}
			}
		}
		all = append(all, r)
	}
	return all
}

// whoseOf returns a text such as "a by this change" for each failure, in the order of the analysis.
func whoseOf(a *Analysis) []string {
	all := []string{}
	for _, f := range a.Failures {
		all = append(all, f.Spec.Leaf[:1]+" "+string(f.Whose))
	}
	return all
}

func TestWhoseAFailureIs(t *testing.T) {
	for name, tt := range map[string]struct {
		runs []string
		run  int64 // the baseline; 0: none
		want []string
	}{
		"main turned red, the branch changes nothing": {[]string{"main a0:..", "x b0:..", "main c0:.F", "main d0:.F", "x e0:.F"}, 4, []string{"b red on main"}},
		"a colleague's branch is red":                 {[]string{"main a0:..", "colleague b0:.F", "mine c0:.F"}, 1, []string{"b by this change"}},
		"a colleague's branch is no baseline":         {[]string{"colleague b0:.F", "mine c0:.F"}, 0, []string{"b unknown"}},
		"a merge base that is not the newest":         {[]string{"main a0:.. ", "main b0:.F", "x c0:.F <a0 ^main"}, 1, []string{"b by this change"}},
		"a merge base in a run that is newer":         {[]string{"x c0:.F <d0,a0 ^main", "main a0:..", "main d0:.F"}, 3, []string{"b red on main"}},
		"main was rewritten":                          {[]string{"main a0:..", "main b0:.F", "main c0:.. <a0 ^main", "x d0:.F <b0,a0 ^main"}, 2, []string{"b red on main"}},
		"the clock of the merge base is ahead":        {[]string{"x c0:.F <d0,a0 ^main", "main a0:.F", "main e0:.F", "main d0:.."}, 4, []string{"b by this change"}},
		"the nearer ancestor was run first":           {[]string{"main b0:.F", "main a0:..", "x c0:.F <b0,a0 ^main"}, 1, []string{"b red on main"}},
		"without git, main was red before the branch": {[]string{"main a0:.F", "x b0:..", "main c0:..", "x d0:.F"}, 3, []string{"b by this change"}},
		"without git, main may have been red":         {[]string{"main a0:.F", "main c0:..", "x d0:.F"}, 2, []string{"b unknown"}},
		"a newer run of main has no such spec":        {[]string{"x z0:...", "main a0:. .", "main c0:. .", "x d0:.F. <b0,a0 ^main"}, 2, []string{"b by this change"}},
		"a newer run of main that is no ancestor":     {[]string{"main a0:..", "main b0:.. ", "main c0:.F <b0,a0 ^main", "x d0:.F <b0,a0 ^main"}, 2, []string{"b by this change"}},
		"an older ancestor": {[]string{"main a0:...", "main c0:F..", "x d0:FF. <b0,a0 ^main"}, 1,
			[]string{"b by this change", "a unknown"}},
		"an older ancestor, main red elsewhere":  {[]string{"main a0:..", "other c0:F.", "x d0:F. <b0,a0 ^main"}, 1, []string{"a by this change"}},
		"on main its parent":                     {[]string{"main a0:.F", "main b0:..", "main c0:FF <b0,a0 ^main"}, 2, []string{"a by this change", "b by this change"}},
		"on main an ancestor that is red":        {[]string{"main a0:.F", "x b0:..", "main c0:FF <y0,a0 ^main"}, 1, []string{"a by this change", "b red on main"}},
		"the run of the same commit excuses no":  {[]string{"main a0:..", "x b0:F. <a0 ^main", "x b0:F. <a0 ^main"}, 1, []string{"a by this change"}},
		"a fork is no baseline":                  {[]string{"main a0:..", "main b0:F. !fork", "x c0:F. <b0,a0 ^main"}, 1, []string{"a by this change"}},
		"no baseline":                            {[]string{"x c0:F."}, 0, []string{"a unknown"}},
		"no git, no CI":                          {[]string{"- :.F", "- :.F"}, 1, []string{"b unknown"}},
		"a tree with changes on main":            {[]string{"main a0:..", "main b0:F.", "main b0+:FF <a0 ^main"}, 2, []string{"b by this change", "a red on main"}},
		"a tree with changes on a branch":        {[]string{"main a0:..", "x b0:F.", "x b0+:FF <a0 ^main"}, 2, []string{"a by this change", "b by this change"}},
		"a spec that is new":                     {[]string{"main a0:.", "x b0:.F <a0 ^main"}, 1, []string{"b by this change"}},
		"a spec that is new in a later run":      {[]string{"main a0:.", "x b0:. <a0 ^main", "x c0:.F <a0 ^main"}, 1, []string{"b by this change"}},
		"left out at the baseline by its choice": {[]string{"main a0:.F", "main b0:. !partial", "x c0:.F <b0,a0 ^main"}, 2, []string{"b red on main"}},
		"never run at a partial baseline":        {[]string{"main b0:. !partial", "x c0:.F <b0 ^main"}, 1, []string{"b unknown"}},
		"a flake of main":                        {[]string{"main a0:R.", "main b0:..", "main c0:..", "x d0:F. <c0,b0,a0 ^main"}, 3, []string{"a known flaky"}},
		"a flake that now always fails": {[]string{"main a0:R.", "main b0:..", "main b1:..", "main b2:..", "main b3:..", "main b4:..", "main b5:..", "main b6:..", "main b7:..", "main c0:..",
			"x d0:F. ^main", "x d1:F. ^main", "x d2:F. ^main", "x d3:F. ^main", "x d4:F. ^main", "x d5:F. ^main", "x d6:F. ^main", "x d7:F. ^main", "x e0:F. <c0,b0,a0 ^main"}, 10, []string{"a by this change"}},
		"a flake that fails elsewhere, too": {[]string{"main a0:R. @linux", "main b0:.. @linux", "main b1:.. @linux", "main b2:.. @linux", "main b3:.. @linux", "main b4:.. @linux", "main b5:.. @linux", "main b6:.. @linux", "main b7:.. @linux", "main c0:.. @linux",
			"x d0:F. ^main @windows", "x d1:F. ^main @windows", "x d2:F. ^main @windows", "x d3:F. ^main @windows", "x d4:F. ^main @windows", "x d5:F. ^main @windows", "x d6:F. ^main @windows", "x d7:F. ^main @windows", "x e0:F. <c0,b0,a0 ^main @linux"}, 10, []string{"a known flaky"}},
		"red at the baseline comes before flaky": {[]string{"main a0:R.", "main b0:..", "main c0:F.", "x d0:F. <c0,b0,a0 ^main"}, 3, []string{"a red on main"}},
		"the platform decides": {[]string{"main a0:.F @windows", "main a0:.. @linux", "x b0:FF <a0 ^main @windows"}, 1,
			[]string{"a by this change", "b red on main"}},
		"red on one platform is no flake": {[]string{"main a0:F @windows", "main a0:. @linux", "main b0:. @windows", "main b0:. @linux", "x c0:F <b0,a0 ^main @linux"}, 4, []string{"a by this change"}},
	} {
		t.Run(name, func(t *testing.T) {
			runs := runsOf(t, tt.runs...)
			a := analysisOf(t, Options{Run: int64(len(runs))}, runs...)
			if strings.Contains(name, "in a run that is newer") || strings.Contains(name, "ahead") {
				h := runs[0]
				a = analysisOf(t, Options{Run: 1}, append([]reports.Run{h}, runs[1:]...)...)
			}
			if diff := cmp.Diff(tt.want, whoseOf(a)); diff != "" {
				t.Errorf("%s\n%+v\n%+v", diff, a.Baseline, a.Failures)
			}
			for _, f := range a.Failures {
				if f.Why == "" {
					t.Errorf("%s: no evidence", f.Name())
				}
			}
			var id int64
			if a.Baseline.Run != nil {
				id = a.Baseline.Run.ID
			}
			if id != tt.run || a.Baseline.Why == "" {
				t.Errorf("compared with run %d, want %d: %+v", id, tt.run, a.Baseline)
			}
		})
	}
}

func TestRedSinceAndFixedNameTheBaseline(t *testing.T) {
	a := analysisOf(t, Options{}, runsOf(t, "main a0:..", "main b0:F.", "main c0:F.", "x d0:F. <c0,b0,a0 ^main")...)
	f := a.Failures[0]
	if f.Since == nil || f.Since.ID != 2 || !strings.Contains(f.Why, "it fails on branch main since run 2, commit b0") {
		t.Errorf("%+v", f)
	}
	if b := a.Baseline; b.Depth != 0 || !b.Exact || b.Why != "the merge base with branch main" {
		t.Errorf("%+v", b)
	}
	a = analysisOf(t, Options{}, runsOf(t, "main a0:..", "x d0:.. <c0,b0,a0 ^main")...)
	if b := a.Baseline; b.Depth != 2 || b.Exact || b.Why != "the nearest recorded ancestor of the merge base with branch main, 2 commits before it" {
		t.Errorf("%+v", b)
	}
}

func TestOtherPlatformsOfOneCommit(t *testing.T) {
	a := analysisOf(t, Options{}, runsOf(t, "main a0:.. @linux", "main a0:.. @windows", "x b0:.F <a0 ^main @linux", "x b0:FF <a0 ^main @windows")...)
	got := map[string]string{}
	for _, f := range a.Failures {
		got[f.Spec.Leaf[:1]] = f.Where(a.Run.Origin.Platform())
	}
	if diff := cmp.Diff(map[string]string{"a": "on windows only; it passes on linux", "b": ""}, got); diff != "" {
		t.Error(diff)
	}
}

// The reason names how far back the baseline run is, or why there is none.
func TestWhyABaseline(t *testing.T) {
	for want, runs := range map[string][]string{
		"its parent on branch main":                                                            {"main a0:.", "main b0:. <a0 ^main"},
		"the nearest recorded ancestor on branch main, 2 commits back":                         {"main a0:.", "main c0:. <b0,a0 ^main"},
		"the merge base with branch main":                                                      {"main a0:.", "x b0:. <a0 ^main"},
		"the nearest recorded ancestor of the merge base with branch main, 1 commit before it": {"main a0:.", "x c0:. <b0,a0 ^main"},
		"no run before it is of its branch or of the branch that it goes into":                 {"main a0:. !fork", "x b0:."},
		"every run before it is of the same commit, b0":                                        {"x b0:.", "x b0:."},
		"there is no complete run with results of suites before it":                            {"x b0:."},
	} {
		if b := analysisOf(t, Options{}, runsOf(t, runs...)...).Baseline; !strings.HasPrefix(b.Why, want) {
			t.Errorf("%q: %q, want %q", runs, b.Why, want)
		}
	}
}

func TestSpecsThatNoLongerRun(t *testing.T) {
	gone, skipped := analysisOf(t, Options{}, sample.Cells("a:.F.ps", "b:ps sp")...).NotRun()
	if len(gone) != 1 || len(skipped) != 2 {
		t.Errorf("gone %+v, skipped %+v", gone, skipped)
	}
}

// Git is asked for the ancestors of a commit that was recorded without them.
func TestAncestorsOfACommitWithout(t *testing.T) {
	for recorded, want := range map[string]int64{"": 1, " <b0": 2} {
		b := analysisOf(t, Options{Ancestry: func(context.Context, reports.Run, string) reports.Ancestry {
			return reports.Ancestry{Commits: []string{"a0"}}
		}}, runsOf(t, "main a0:.", "main b0:.", "x c0:. ^main"+recorded)...).Baseline
		if b.Run == nil || b.Run.ID != want || !b.Exact {
			t.Errorf("recorded %q: %+v", recorded, b)
		}
	}
}

func TestAgainst(t *testing.T) {
	runs := runsOf(t, "main a0a0:..", "main b0b0:.F", "dev c0c0:F.", "x d0d0:FF <a0a0 ^main")
	for against, want := range map[string]int64{"": 1, "2": 2, "#3": 3, "b0b0": 2, "dev": 3, "main": 1} {
		a := analysisOf(t, Options{Against: against, Ancestry: func(_ context.Context, _ reports.Run, base string) reports.Ancestry {
			if base == "main" {
				return reports.Ancestry{Commits: []string{"a0a0"}}
			}
			return reports.Ancestry{Problem: "no such branch here"}
		}}, runs...)
		if a.Previous == nil || a.Previous.ID != want {
			t.Errorf("against %q: %+v", against, a.Baseline)
		}
	}
	h := open(t, t.TempDir()+"/h.db")
	for _, r := range runs {
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	none := "no other complete run with results of suites is of it"
	for against, want := range map[string]string{"nowhere": none, "99": none, "4": "it is the run itself", "x": none, "d0d0": none, "eeee": none} {
		var wrong *AgainstError
		if _, err := Analyze(t.Context(), h, Options{Against: against}); !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("against %q: err = %v, want %q", against, err, want)
		}
	}
}

func TestQuarantineComesFirst(t *testing.T) {
	day := sample.Noon.AddDate(0, 0, 2)
	ledger := &quarantine.Ledger{Entries: []quarantine.Entry{{Suite: "shop", Spec: "an order bbbbbbbb", Owner: "ada", Reason: "slow", Added: Day(day), Expires: Day(day)}}}
	runs := runsOf(t, "main a0:.F", "x b0:FF <a0 ^main")
	for at, want := range map[time.Time][]string{day: {"a by this change", "b quarantined"}, day.AddDate(0, 0, 1): {"a by this change", "b red on main"}} {
		a := analysisOf(t, Options{Now: at, Quarantine: ledger}, runs...)
		if diff := cmp.Diff(want, whoseOf(a)); diff != "" {
			t.Error(diff)
		}
	}
}

// A partial run is compared only within the specs that both runs were asked to run.
func TestUnselectedSpecsAreNotGone(t *testing.T) {
	part := analysisOf(t, Options{}, runsOf(t, "main a0:...", "x b0:. <a0 ^main !partial")...)
	if len(part.Moves) != 0 {
		t.Errorf("moves: %+v", part.Moves)
	}
	whole := analysisOf(t, Options{}, runsOf(t, "main a0:...", "x b0:. <a0 ^main")...)
	if gone, _ := whole.NotRun(); len(gone) != 2 {
		t.Errorf("gone: %+v", gone)
	}
	after := analysisOf(t, Options{}, runsOf(t, "main a0:. !partial", "x b0:... <a0 ^main")...)
	if len(after.Moves) != 0 {
		t.Errorf("moves: %+v", after.Moves)
	}
}

// The origin of a failure outside the specs is determined as that of a failed spec.
func TestWhoseABrokenPackageIs(t *testing.T) {
	runs := runsOf(t, "main a0:..", "main b0:..", "x c0:.. <b0,a0 ^main")
	failed := []reports.SuiteFailure{{Node: "BeforeSuite", Message: "no database"}}
	runs[2].Suites.Suites[0].Failures = failed
	if a := analysisOf(t, Options{}, runs...); len(a.Failures) != 1 || a.Failures[0].Whose != ByThisChange {
		t.Errorf("%+v", a.Failures)
	}
	runs[1].Suites.Suites[0].Failures = failed
	if a := analysisOf(t, Options{}, runs...); len(a.Failures) != 1 || a.Failures[0].Whose != RedOnMain || a.Failures[0].Since.ID != 2 {
		t.Errorf("%+v", a.Failures)
	}
	broken := analysisOf(t, Options{}, runs...).Failures[0].Spec
	ledger := &quarantine.Ledger{Entries: []quarantine.Entry{{Suite: broken.Suite, Spec: string(broken.AppendText(nil)), Owner: "ada", Reason: "slow\ndisk", Added: Day(sample.Noon), Expires: Day(sample.Noon)}}}
	if a := analysisOf(t, Options{Now: sample.Noon, Quarantine: ledger}, runs...); len(a.Failures) != 1 || a.Failures[0].Whose != Quarantined || !strings.HasPrefix(a.Failures[0].Why, "slow disk, by ada until ") {
		t.Errorf("%+v", a.Failures)
	}
}

// Whether a suite without a failure was part of a run decides what the run shows of its later failure.
func TestWhoseABrokenSuiteIsThatDidNotRun(t *testing.T) {
	for name, tt := range map[string]struct {
		runs []string // with "-" before the branch if the suite is not in the run, "!" if it fails
		want Whose
		at   int64
	}{
		"the baseline run does not have it":                           {[]string{"main a0:.", "-main b0:.", "!x c0:. <b0,a0 ^main"}, ByThisChange, 2},
		"the baseline run left it out":                                {[]string{"!main a0:.", "-main b0:. !partial", "!x c0:. <b0,a0 ^main"}, RedOnMain, 1},
		"the baseline run left it out, an older one does not have it": {[]string{"!main a0:.", "-main b0:.", "-main c0:. !partial", "!x d0:. <c0,b0,a0 ^main"}, RedOnMain, 1},
	} {
		var texts []string
		for _, r := range tt.runs {
			texts = append(texts, strings.TrimLeft(r, "-!"))
		}
		runs := runsOf(t, texts...)
		for i, r := range tt.runs {
			suite := reports.Suite{Path: "cart"}
			switch r[0] {
			case '-':
				continue
			case '!':
				suite.Failures = []reports.SuiteFailure{{Node: "BeforeSuite", Message: "no database"}}
			}
			runs[i].Suites.Suites = append(runs[i].Suites.Suites, suite)
		}
		if f := analysisOf(t, Options{}, runs...).Failures; len(f) != 1 || f[0].Whose != tt.want || f[0].At.ID != tt.at {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestFlakeChance(t *testing.T) {
	for _, tt := range []struct {
		p      float64
		tries  reports.Rate
		streak int
		want   float64
	}{
		{0.1, reports.Rate{Good: 1, Of: 1}, 1, 0.2},
		{0.1, reports.Rate{Good: 2, Of: 3}, 0, 2 * (3*0.01*0.9 + 0.001)}, // by hand
		{0.1, reports.Rate{Good: 1, Of: 1}, 4, 2e-4},
		{1, reports.Rate{Good: 5, Of: 5}, 5, 1},
		{0.5, reports.Rate{}, 0, 1},
	} {
		if got := flakeChance(tt.p, tt.tries, tt.streak); got < tt.want*(1-1e-9) || got > tt.want*(1+1e-9) {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// If neither CI nor git names the base branch, a usual name that the history contains is used.
func TestBaseBranchIsOneOfTheHistory(t *testing.T) {
	for name, tt := range map[string]struct {
		runs []string
		want string
	}{
		"master":             {[]string{"master a0:..", "x b0:.F"}, "master"},
		"main before master": {[]string{"master a0:..", "main a1:..", "x b0:.F"}, "main"},
		"its own branch":     {[]string{"x a0:..", "trunk b0:.F"}, "trunk"},
		"named by CI":        {[]string{"main a0:..", "next a1:.. ^next", "x b0:.F"}, "next"},
		"not by a fork":      {[]string{"main a0:..", "next a1:.. ^next !fork", "x b0:.F"}, "main"},
		"none":               {[]string{"y a0:..", "x b0:.F"}, ""},
		"no branch":          {[]string{"main a0:..", "- b0:.F"}, ""},
	} {
		if a := analysisOf(t, Options{}, runsOf(t, tt.runs...)...); a.Baseline.Branch != tt.want {
			t.Errorf("%s: %q, want %q", name, a.Baseline.Branch, tt.want)
		}
	}
}

// On the base branch itself, the run before it is of the branch, not a guess at a merge base.
func TestBaselineOnTheBaseBranchWithoutGit(t *testing.T) {
	b := analysisOf(t, Options{}, runsOf(t, "main a0:..", "main b0:.F")...).Baseline
	if b.Run == nil || b.Run.ID != 1 || b.Why != "the newest run before it of another commit on branch main" || !b.Exact || b.Unsure {
		t.Errorf("%+v", b)
	}
	b = analysisOf(t, Options{}, runsOf(t, "main a0:..", "x b0:.F")...).Baseline
	if b.Why != "the newest run of branch main before it (git does not know how its commit descends from that branch)" || b.Exact {
		t.Errorf("%+v", b)
	}
}

// A spec that was renamed while it failed is not broken by the change.
func TestARenamedSpecThatFailsIsRedOnMain(t *testing.T) {
	runs := runsOf(t, "main a0:.F", "x b0:.F <a0 ^main")
	runs[0].Suites.Specs[1].Leaf, runs[1].Suites.Specs[1].Leaf = "keeps the order of the customer", "keeps every order of the customer"
	a := analysisOf(t, Options{}, runs...)
	if diff := cmp.Diff([]string{"k red on main"}, whoseOf(a)); diff != "" || a.Failures[0].Since.ID != 1 {
		t.Errorf("%s%+v", diff, a.Failures)
	}
}

// A new spec that is skipped is reported as new, except in a run of selected tests.
func TestANewSkippedSpecIsNew(t *testing.T) {
	for options, want := range map[string]int{"": 1, " !partial": 0} {
		a := analysisOf(t, Options{}, runsOf(t, "main a0:.", "x b0:.s <a0 ^main"+options)...)
		if len(a.Moves) != want {
			t.Errorf("with %q: %+v", options, a.Moves)
		}
	}
}

func TestWhyAFailureIsByThisChange(t *testing.T) {
	for cells, want := range map[string]string{"..": "it passed in run 1, commit a0", ".s": "it did not run in run 1, commit a0", ".": "it is new: run 1 does not have it, commit a0"} {
		if all := analysisOf(t, Options{}, runsOf(t, "main a0:"+cells, "x b0:.F <a0 ^main")...).Failures; len(all) != 1 || all[0].Why != want {
			t.Errorf("after %s: %+v, want %q", cells, all, want)
		}
	}
}

func TestThreeFailuresAreNamed(t *testing.T) {
	var all []Failure
	for _, name := range []string{"a", "b", "c", "d"} {
		all = append(all, Failure{Spec: &reports.Spec{Leaf: name}})
	}
	if three, four := firstOfFailures(all[:3]), firstOfFailures(all); three != ". > a, . > b, . > c" || four != three+", 1 more" {
		t.Errorf("%q, %q", three, four)
	}
}

// Each failure is in the list of its origin.
func TestFailuresByOrigin(t *testing.T) {
	a := analysisOf(t, Options{}, runsOf(t, "main a0:..F", "x b0:FFF <a0 ^main")...)
	got := map[Whose]int{}
	for _, whose := range AllWhose {
		for _, f := range a.Of(whose) {
			if f.Whose != whose {
				t.Errorf("%s is %s", f.Name(), f.Whose)
			}
			got[whose]++
		}
	}
	if diff := cmp.Diff(map[Whose]int{ByThisChange: 2, RedOnMain: 1}, got); diff != "" {
		t.Error(diff)
	}
	if still := a.StillFailing(); len(still) != 1 || still[0].Leaf != "cccccccc" {
		t.Errorf("still failing: %v", still)
	}
}

// Without a run of the same job, one of the same operating system is nearer than the newest.
func TestBaselineOfTheSameSystem(t *testing.T) {
	runs := runsOf(t, "main a0:.F", "main a0:..", "x b0:.F <a0 ^main")
	for i, o := range []reports.Origin{{OS: "linux", Arch: "arm64", Job: "nightly"}, {OS: "windows", Arch: "amd64", Job: "nightly"}, {OS: "linux", Arch: "amd64", Job: "test"}} {
		runs[i].Origin.OS, runs[i].Origin.Arch, runs[i].Origin.Job = o.OS, o.Arch, o.Job
	}
	a := analysisOf(t, Options{}, runs...)
	if diff := cmp.Diff([]string{"b red on main"}, whoseOf(a)); diff != "" || a.Baseline.Run.ID != 1 {
		t.Errorf("%s%+v", diff, a.Baseline)
	}
}

// A spec that an earlier run of the commit does not have is new, not flaky.
func TestANewSpecAtOneCommitIsNotFlaky(t *testing.T) {
	a := analysisOf(t, Options{}, runsOf(t, "main a0:.", "x b0:. <a0 ^main", "x b0:.. <a0 ^main")...)
	if len(a.Moves) != 1 || a.Moves[0].Kind != reports.New || len(a.FlakyNow()) != 0 {
		t.Errorf("%+v", a.Moves)
	}
}

// A run with uncommitted changes does not show how its commit behaves on another platform.
func TestOtherPlatformsWithChangesDoNotCount(t *testing.T) {
	for _, commits := range [][2]string{{"b0+", "b0"}, {"b0", "b0+"}} {
		a := analysisOf(t, Options{}, runsOf(t, "main a0:. @linux", "x "+commits[0]+":. <a0 ^main @windows", "x "+commits[1]+":F <a0 ^main @linux")...)
		if where := a.Failures[0].Where("linux"); where != "" {
			t.Errorf("%v: %q", commits, where)
		}
	}
}

// The list of quarantined specs counts how often each failed and how long it has passed since.
func TestQuarantinedSpecsAreCounted(t *testing.T) {
	ledger := &quarantine.Ledger{Entries: []quarantine.Entry{{Suite: "shop", Spec: "an order aaaaaaaa", Owner: "ada", Reason: "slow", Added: "2026-11-20", Expires: "2026-11-24"},
		{Suite: "shop", Spec: "an order bbbbbbbb", Owner: "ada", Reason: "slow", Added: "2026-11-20", Expires: "2026-12-20"}}}
	a := analysisOf(t, Options{Quarantine: ledger}, sample.Cells("a:F.", "b:.F", "c:s.", "d:.F")...)
	if h := a.Quarantine; len(h) != 2 || h[0].Failed != (reports.Rate{Good: 1, Of: 3}) || h[0].Passes != 2 || h[1].Failed != (reports.Rate{Good: 2, Of: 4}) || h[1].Passes != 0 {
		t.Errorf("%+v", h)
	}
	notes := strings.Join(a.Notes, "; ")
	for _, want := range []string{"1 spec in quarantine failed (pass rate 50%, 100% without them): shop > an order > bbbbbbbb", `the quarantine of "an order aaaaaaaa" expired on 2026-11-24`} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in %q", want, notes)
		}
	}
}

// A branch without a base is compared with its own earlier run, not with that of another branch.
func TestBaselineOfABranchAlone(t *testing.T) {
	b := analysisOf(t, Options{}, runsOf(t, "y a0:..", "x b0:..", "y c0:..", "x d0:.F")...).Baseline
	if b.Run == nil || b.Run.ID != 2 || b.Why != "the newest run before it of another commit on branch x" {
		t.Errorf("%+v", b)
	}
}

// The attempts of all runs of a commit count.
func TestAttemptsOfACommit(t *testing.T) {
	failed := &reports.Spec{Leaf: "x", State: reports.Failed, Attempts: 2}
	a := analyzer{tries: map[reports.Digest]reports.Rate{failed.Digest(): {Good: 1, Of: 3}}}
	if got := a.attemptsOf(failed); got != (reports.Rate{Good: 3, Of: 5}) {
		t.Errorf("%+v", got)
	}
}
