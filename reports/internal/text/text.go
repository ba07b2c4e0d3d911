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

// Finite reports whether v is neither infinite nor NaN.
func Finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// StepText formats the duration of a step.
func StepText(d time.Duration) string {
	if d == 0 {
		return "no time"
	}
	return Took(d)
}

// Took formats a duration with three significant digits and a suitable unit: 212 ns, 87.0 µs, 12.5 ms,
// 8.43 s, 1 min 44 s, 2 h 5 min.
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

// Time formats seconds like [Took], including fractions of a nanosecond.
func Time(seconds float64) string {
	if math.Abs(seconds) < 999.5e-9 || math.IsNaN(seconds) {
		return Figure(seconds*1e9) + " ns"
	}
	if math.Abs(seconds) > math.MaxInt64/1e9 { // beyond the range of time.Duration
		return Figure(seconds) + " s"
	}
	return Took(Seconds(seconds))
}

// Share formats a share in percent with two significant digits, above 99% with two decimals. It never
// rounds up to 100%.
func Share(s float64) string {
	if math.Abs(s) > 0.99 {
		return strconv.FormatFloat(math.Floor(s*1e4+1e-9)/100, 'f', -1, 64) + "%"
	}
	return fmt.Sprintf("%.2g%%", 100*s)
}

// CostSentence states the cost of durability, and from which duration of a run it is under 1%:
//
//	durability ("process") costs 212 µs a run (208 to 217, 95%, n=15 blocks): under 1% of any run longer than 21.2 ms
//
// The duration is a hundred times the estimate, rounded up. For an invalid measurement the sentence
// says so instead.
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

// Within returns a text such as "208 to 217, 95%, n=15 blocks", with the bounds multiplied by scale.
func Within(e harness.Estimate, scale float64) string {
	n := fmt.Sprintf("n=%d %s", e.N, reports.Visible(e.Of))
	if !e.Bounded() {
		return "no interval: too few, " + n
	}
	return fmt.Sprintf("%s to %s, %s%%, %s", Figure(e.Low*scale), Figure(e.High*scale), reports.Percent(e.Level), n)
}

// OverheadText returns a text such as "79.8x = 7,980% (7,700 to 8,260, 95%, n=15 blocks)".
func OverheadText(e harness.Estimate) string {
	if !Estimated(e) {
		return "not estimated"
	}
	return fmt.Sprintf("%sx = %s%% (%s)", Figure(e.Value), Figure(100*e.Value), Within(Scaled(e, 100), 1))
}

// Scaled returns the estimate multiplied by a factor, for another unit.
func Scaled(e harness.Estimate, by float64) harness.Estimate {
	e.Value *= by
	e.Low *= by
	e.High *= by
	return e
}

// Figure formats a number with three significant digits and commas: 1.31, 212, 7,980, 0.00213.
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
	v = math.Round(v/unit) * unit  // 7,981.4 becomes 7,980
	if math.Abs(v) >= 999.5*unit { // 99.96 becomes 100
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

// HundredTimes formats a hundred times the given number of µs, rounded up to three digits: the duration
// of the shortest run of which it is at most 1%.
func HundredTimes(us float64) string { return milliseconds(us / 10) }

// milliseconds formats a duration in ms, rounded up to three significant digits.
func milliseconds(ms float64) string {
	unit := "ms"
	if ms >= 1000 {
		ms, unit = ms/1000, "s"
	}
	step := math.Pow10(int(math.Floor(math.Log10(ms))) - 2)
	up := math.Ceil(ms/step-1e-9) * step // 1e-9: a rounding error must not round up
	s := Figure(up)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s + " " + unit
}

// Plural returns "1 spec" or "2 specs".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return commas(strconv.Itoa(n)) + " " + noun + "s"
}

// More returns "1 more spec" or "2 more specs".
func More(n int, noun string) string {
	return strings.Replace(Plural(n, noun), " ", " more ", 1)
}

// OneLine converts a text so that it can be part of a sentence: one line, control characters escaped,
// no full stop at the end.
func OneLine(s string) string {
	return strings.TrimSuffix(reports.Visible(strings.Join(strings.Fields(s), " ")), ".")
}

// ShortCommit returns the first 12 characters of a commit ID.
func ShortCommit(commit string) string {
	r := []rune(reports.Visible(commit))
	return string(r[:min(len(r), 12)])
}

// Count formats an integer with commas.
func Count(n int) string { return commas(fmt.Sprint(n)) }

// Where returns a text such as "file.go:12", as far as the location is known.
func Where(file string, line int) string {
	if file == "" || line == 0 {
		return reports.Visible(file)
	}
	return fmt.Sprintf("%s:%d", reports.Visible(file), line)
}

// Seconds converts seconds to a duration, rounded to nanoseconds.
func Seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

// Fixes returns "1 fix" or "19 fixes".
func Fixes(n int) string {
	if n == 1 {
		return "1 fix"
	}
	return Count(n) + " fixes"
}

// Cut shortens a text to at most n runes.
func Cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
