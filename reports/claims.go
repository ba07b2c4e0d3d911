package reports

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Claims are the figures that a text gives of a run and its phases: a release note, a
// report that was written by hand. Percentages are as printed, without their sign, so
// that it is known to how many digits they must be right; "" and 0 are not claimed. A
// file of them is in TOML.
type Claims struct {
	Total      int    `toml:"total"`           // specs
	Rate       string `toml:"rate"`            // pass rate of the run: "97.7"
	RateFirst  string `toml:"rate_first"`      // pass rate at the end of the first phase: "96.3"
	Points     string `toml:"points"`          // percentage points between the two: "1.4"
	Fewer      string `toml:"fewer"`           // percent fewer failures, said of the newest phase: "19.7"
	Target     string `toml:"target"`          // pass rate to reach: "98.5"
	TargetFail int    `toml:"target_failures"` // failures with which it is said to be reached: 35
}

// ReadClaims reads claims from a file. Unknown keys and figures that are no numbers are
// errors.
func ReadClaims(path string) (c Claims, err error) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = decodeTOML(text, &c)
	}
	if err != nil {
		return c, fmt.Errorf("claims %s: %w", path, err)
	}
	for _, figure := range []string{c.Rate, c.RateFirst, c.Points, c.Fewer, c.Target} {
		if v, err := strconv.ParseFloat(figure, 64); figure != "" && (err != nil || !finite(v)) {
			return c, fmt.Errorf("claims %s: %q is no number: write it as it is printed, without its sign", path, figure)
		}
	}
	if c == (Claims{}) {
		return c, fmt.Errorf("claims %s: nothing is claimed in it", path)
	}
	return c, nil
}

// Dispute returns a sentence for each claim that the history does not bear out, in
// the order of the fields; nil where all are right. What it needs a plan with phases
// for is not disputed without one.
func (a *Account) Dispute(c Claims) []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if c.Total != 0 && c.Total != a.Counts.All() {
		add("the run has %s, not %s", plural(a.Counts.All(), "spec"), count(c.Total))
	}
	if left := a.RateAll.Of - a.Rate.Of; c.Rate != "" && !rounds(a.RateAll, c.Rate) {
		switch {
		case rounds(a.Rate, c.Rate) && (c.Total == 0 || c.Total == a.RateAll.Of):
			add("%s%% leaves %s out: it is %s of the %s that ran (%s); of all %s it is %s",
				c.Rate, plural(left, "skipped spec"), count(a.Rate.Good), count(a.Rate.Of), a.Rate.Percent(), count(a.RateAll.Of), a.RateAll.Percent())
		case !rounds(a.Rate, c.Rate):
			add("the pass rate is %s of the %s that ran and %s of all %s, not %s%%", a.Rate.Percent(), count(a.Rate.Of), a.RateAll.Percent(), count(a.RateAll.Of), c.Rate)
		}
	}
	if a.Overall != nil {
		a.disputePhases(c, add)
	}
	if share, err := strconv.ParseFloat(c.Target, 64); err == nil && c.TargetFail != 0 {
		t := NewTarget(share, a.Counts)
		if c.TargetFail > t.MaxFail {
			ran := a.Rate.Of
			add("%s%% of %s needs at most %s, %s: with %d it is %s", c.Target, count(ran), plural(t.MaxFail, "failure"), fixes(t.ToGo), c.TargetFail,
				Rate{Good: ran - c.TargetFail, Of: ran}.Percent())
		}
	}
	return all
}

func (a *Account) disputePhases(c Claims, add func(string, ...any)) {
	first, last := a.Overall.From.Counts, a.Overall.Counts
	if from := first.PassRate(); c.RateFirst != "" && !rounds(from, c.RateFirst) {
		add("%s of %s is a pass rate of %s, not %s%%", plural(first.Failed, "failure"), count(from.Of), from.Percent(), c.RateFirst)
	}
	points := 100 * (last.PassRate().Share() - first.PassRate().Share())
	if c.Points != "" && strconv.FormatFloat(points, 'f', digits(c.Points), 64) != c.Points {
		add("from %s to %s are %.2f percentage points, not %s", first.PassRate().Percent(), last.PassRate().Percent(), points, c.Points)
	}
	phase := a.Phases[len(a.Phases)-1]
	if phase.From == nil || c.Fewer == "" || rounds(phase.Fewer, c.Fewer) {
		return
	}
	here := fmt.Sprintf("%s went from %d to %d failures, %s%% fewer", Visible(phase.Name), phase.Fewer.Of, phase.Counts.Failed, percent(phase.Fewer.Share()))
	if rounds(a.Overall.Fewer, c.Fewer) {
		add("%s%% fewer failures is %d to %d, over all phases; %s", c.Fewer, a.Overall.Fewer.Of, a.Overall.Counts.Failed, here)
		return
	}
	add("%s, not %s%%", here, c.Fewer)
}

// rounds reports whether the rate is what was printed, to its digits.
func rounds(r Rate, printed string) bool {
	return r.Of > 0 && strconv.FormatFloat(100*r.Share(), 'f', digits(printed), 64) == printed
}

// digits behind the point.
func digits(printed string) int {
	_, behind, _ := strings.Cut(printed, ".")
	return len(behind)
}

// fixes is "1 fix", "19 fixes".
func fixes(n int) string {
	if n == 1 {
		return "1 fix"
	}
	return count(n) + " fixes"
}
