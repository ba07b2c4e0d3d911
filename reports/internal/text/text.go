package text

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
)

func Finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func StepText(d time.Duration) string {
	if d == 0 {
		return "no time"
	}
	return Took(d)
}

// Took writes a length of time with three figures and its unit: 212 ns, 87.0 µs, 12.5 ms,
// 8.43 s, 1 min 34 s, 2 h 5 min.
func Took(d time.Duration) string {
	switch a := d.Abs(); {
	case a >= time.Hour:
		m := int(d.Round(time.Minute) / time.Minute)
		return fmt.Sprintf("%d h %d min", m/60, m%60)
	case a >= 100*time.Second:
		s := int(d.Round(time.Second) / time.Second)
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case a >= 999500*time.Microsecond:
		return Figure(d.Seconds()) + " s"
	case a >= 999500*time.Nanosecond:
		return Figure(d.Seconds()*1e3) + " ms"
	case a >= time.Microsecond:
		return Figure(d.Seconds()*1e6) + " µs"
	}
	return fmt.Sprintf("%d ns", d.Nanoseconds())
}

// Time writes seconds as [Took] does, and parts of a nanosecond too.
func Time(seconds float64) string {
	if math.Abs(seconds) < 999.5e-9 || math.IsNaN(seconds) {
		return Figure(seconds*1e9) + " ns"
	}
	if math.Abs(seconds) > math.MaxInt64/1e9 { // more than a duration can hold
		return Figure(seconds) + " s"
	}
	return Took(Seconds(seconds))
}

// Share in percent, to two digits, and near 100 to a hundredth: it never rounds up to
// 100 what is below it.
func Share(s float64) string {
	if math.Abs(s) > 0.99 {
		return strconv.FormatFloat(math.Floor(s*1e4+1e-9)/100, 'f', -1, 64) + "%"
	}
	return fmt.Sprintf("%.2g%%", 100*s)
}

// CostSentence says what durability costs and for which runs that is next to
// nothing:
//
//	durability ("process") costs 212 µs a run (208 to 217, 95%, n=15 blocks): under 1% of any run longer than 21.2 ms
//
// The length is a hundred times the estimate, rounded up: never a run too short. Of a
// measurement that is not valid it says so in place of the length.
func CostSentence(c harness.Comparison) string {
	name := "durability"
	if c.Durability != "" {
		name = "durability (\"" + reports.Visible(c.Durability) + "\")"
	}
	if !Estimated(c.Cost) {
		return name + ": its cost was not estimated"
	}
	if !c.Valid() {
		return fmt.Sprintf("%s: %s µs a run (%s) is unreliable, because the measurement is invalid", name, Figure(c.Cost.Value), Within(c.Cost, 1))
	}
	if c.Cost.Value <= 0 {
		return fmt.Sprintf("%s has no measurable cost (%s µs a run, %s)", name, Figure(c.Cost.Value), Within(c.Cost, 1))
	}
	return fmt.Sprintf("%s costs %s µs a run (%s): under 1%% of any run longer than %s", name,
		Figure(c.Cost.Value), Within(c.Cost, 1), HundredTimes(c.Cost.Value))
}

// Estimated reports whether there is a figure to show.
func Estimated(e harness.Estimate) bool {
	return e.N > 0 && !math.IsNaN(e.Value) && !math.IsInf(e.Value, 0)
}

// Within is "208 to 217, 95%, n=15 blocks", the bounds times scale.
func Within(e harness.Estimate, scale float64) string {
	n := fmt.Sprintf("n=%d %s", e.N, reports.Visible(e.Of))
	if !e.Bounded() {
		return "no interval: too few, " + n
	}
	return fmt.Sprintf("%s to %s, %s%%, %s", Figure(e.Low*scale), Figure(e.High*scale), reports.Percent(e.Level), n)
}

// OverheadText is "79.8x = 7,980% (7,700 to 8,260, 95%, n=15 blocks)".
func OverheadText(e harness.Estimate) string {
	if !Estimated(e) {
		return "not estimated"
	}
	return fmt.Sprintf("%sx = %s%% (%s)", Figure(e.Value), Figure(100*e.Value), Within(Scaled(e, 100), 1))
}

// Scaled is the estimate in another unit.
func Scaled(e harness.Estimate, by float64) harness.Estimate {
	e.Value *= by
	e.Low *= by
	e.High *= by
	return e
}

// Figure shows three significant digits, all of those before the point, and commas:
// 1.31, 212, 7,980, 0.00213.
func Figure(v float64) string {
	switch {
	case math.IsNaN(v):
		return "?"
	case math.IsInf(v, 0) || math.Abs(v) >= 1e15:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case v == 0:
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	unit := math.Pow10(-digits)
	v = math.Round(v/unit) * unit  // 7,981.4 is 7,980: three digits are all that is known
	if math.Abs(v) >= 999.5*unit { // 99.96 is 100
		digits--
	}
	if digits < 0 {
		return commas(strconv.FormatFloat(v, 'f', 0, 64))
	}
	return strconv.FormatFloat(v, 'f', min(digits, 12), 64)
}

// commas groups the digits of a whole number.
func commas(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// HundredTimes is a hundred times so many µs, rounded up to three digits: the shortest run
// of which that is at most 1%.
func HundredTimes(us float64) string { return milliseconds(us / 10) }

// milliseconds shows a length of time, rounded up to three digits.
func milliseconds(ms float64) string {
	unit := "ms"
	if ms >= 1000 {
		ms, unit = ms/1000, "s"
	}
	step := math.Pow10(int(math.Floor(math.Log10(ms))) - 2)
	up := math.Ceil(ms/step-1e-9) * step // 6.1 is not 6.11 for its last bit
	s := Figure(up)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s + " " + unit
}

// Plural is "1 spec", "2 specs".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return commas(strconv.Itoa(n)) + " " + noun + "s"
}

// More is "1 more spec", "2 more specs".
func More(n int, noun string) string {
	return strings.Replace(Plural(n, noun), " ", " more ", 1)
}

// OneLine makes text from elsewhere fit to stand in a sentence: one line, nothing
// that acts on a screen, no full stop at the end.
func OneLine(s string) string {
	return strings.TrimSuffix(reports.Visible(strings.Join(strings.Fields(s), " ")), ".")
}

// ShortCommit is the first 12 characters of a hash.
func ShortCommit(commit string) string {
	r := []rune(reports.Visible(commit))
	return string(r[:min(len(r), 12)])
}

func Count(n int) string { return commas(fmt.Sprint(n)) }

// Where is "file.go:12", as much of it as is known.
func Where(file string, line int) string {
	if file == "" || line == 0 {
		return reports.Visible(file)
	}
	return fmt.Sprintf("%s:%d", reports.Visible(file), line)
}

// Seconds rounds to nanoseconds.
func Seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

// Fixes is "1 fix", "19 fixes".
func Fixes(n int) string {
	if n == 1 {
		return "1 fix"
	}
	return Count(n) + " fixes"
}

// Cut keeps at most n runes.
func Cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
