package ingest

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports/internal/text"
)

// clock parses the durations of one file. Because a duration does not change a result, one that
// cannot be parsed causes a note instead of an error.
type clock struct {
	point, comma bool // another time of the file shows that this is the decimal mark
	doubtful     []doubtful
	bad          int    // number of invalid durations
	badText      string // first of them
}

// doubtful is an ambiguous time such as "1,078", which may mean 1.078 or 1078 seconds. It is 1.078
// if other times of the file show that the comma is the decimal mark; otherwise it is invalid.
type doubtful struct {
	text string
	to   func(time.Duration)
}

// longestTime is the longest plausible duration: greater numbers are nanoseconds or times since
// 1970.
const longestTime = 30 * 24 * time.Hour

var (
	plainTime     = regexp.MustCompile(`^\d*\.?\d+(?:[eE][-+]?\d{1,3})?$|^\d+\.$`)
	thousandsTime = regexp.MustCompile(`^[1-9]\d{0,2}(,\d{3})+\.\d*$|^[1-9]\d{0,2}(,\d{3}){2,}$`) // written by Surefire
	doubtfulTime  = regexp.MustCompile(`^[1-9]\d{0,2},\d{3}$`)
	commaTime     = regexp.MustCompile(`^\d+,\d+$|^[1-9]\d{0,2}(\.\d{3})+,\d+$`)
	unitTime      = regexp.MustCompile(`^(\d*[.,]?\d+)\s*(ns|us|µs|μs|ms|msecs?|millis|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)$`)
	hoursTime     = regexp.MustCompile(`^(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)$`)
)

var timeUnits = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond, "ms": time.Millisecond,
	"msec": time.Millisecond, "millis": time.Millisecond, "millisecond": time.Millisecond,
	"s": time.Second, "sec": time.Second, "second": time.Second, "m": time.Minute, "min": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour,
}

// read parses the duration of an element. For an ambiguous one it returns the text as doubt, to be
// passed to [clock.later].
func (c *clock) read(a map[string]string) (took time.Duration, doubt string) {
	text, stated := a["time"]
	if !stated {
		if text, stated = a["duration"]; !stated { // Bazel and a few more
			return 0, ""
		}
	}
	number := strings.TrimSpace(text)
	if doubtfulTime.MatchString(number) {
		return 0, number
	}
	took, ok := c.seconds(number)
	if !ok {
		c.refuse(text)
		return 0, ""
	}
	return took, ""
}

// later calls a function with an ambiguous duration at the end of the file, when the decimal mark
// is known.
func (c *clock) later(doubt string, to func(time.Duration)) {
	if doubt != "" {
		c.doubtful = append(c.doubtful, doubtful{doubt, to})
	}
}

func (c *clock) refuse(text string) {
	if c.bad++; c.bad == 1 {
		c.badText = text
	}
}

// seconds parses "0.25", "1e-05", "1,234.5", "0,25", "1.234,5", "00:01:02.5", "250 ms".
func (c *clock) seconds(value string) (time.Duration, bool) {
	unit := time.Second
	switch {
	case plainTime.MatchString(value):
		c.point = c.point || strings.Contains(value, ".")
	case value == "-0" || strings.HasPrefix(value, "-0.") && strings.Trim(value, "-0.") == "": // gotestsum
		return 0, true
	case thousandsTime.MatchString(value):
		c.point = true
		value = strings.ReplaceAll(value, ",", "")
	case commaTime.MatchString(value):
		c.comma = true
		value = strings.ReplaceAll(strings.ReplaceAll(value, ".", ""), ",", ".")
	default:
		if m := hoursTime.FindStringSubmatch(value); m != nil {
			hours, _ := strconv.Atoi(m[1]) // may be ""
			minutes, _ := strconv.Atoi(m[2])
			s, err := strconv.ParseFloat(strings.ReplaceAll(m[3], ",", "."), 64)
			return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + text.Seconds(s), err == nil && minutes < 60 && s < 60
		}
		m := unitTime.FindStringSubmatch(value)
		if m == nil {
			return 0, false
		}
		if unit = timeUnits[m[2]]; unit == 0 {
			unit = timeUnits[strings.TrimSuffix(m[2], "s")]
		}
		value = strings.ReplaceAll(m[1], ",", ".")
	}
	s, err := strconv.ParseFloat(value, 64)
	if s *= unit.Seconds(); err != nil || !sane(s) || s > longestTime.Seconds() {
		return 0, false
	}
	return text.Seconds(s), true
}

// settle resolves ambiguous durations and adds a note on invalid ones.
func (c *clock) settle(note func(string, ...any)) {
	decimal := c.comma && !c.point
	for _, d := range c.doubtful {
		if took, ok := c.seconds(strings.Replace(d.text, ",", ".", 1)); ok && decimal {
			d.to(took)
		} else {
			c.refuse(d.text)
		}
	}
	c.doubtful = nil
	if c.bad > 0 {
		note("invalid durations, read as 0: %d; the first is %q", c.bad, shortText(c.badText))
	}
}

// shortText shortens a text of a file for a note.
func shortText(text string) string {
	if len(text) > 80 {
		return strings.ToValidUTF8(text[:80], "") + "…"
	}
	return text
}

// stamp parses a time stamp with junitTime and records if it has no time zone.
func (r *Reading) stamp(text string) time.Time {
	t := junitTime(text)
	if _, clock, dated := strings.Cut(strings.ReplaceAll(text, " ", "T"), "T"); !t.IsZero() && dated && !strings.ContainsAny(clock, "Zz+-") {
		r.NoZone = true
	}
	return t
}

// junitTime parses a time stamp. Without a time zone it is interpreted as UTC. It returns the zero
// time for any other text.
func junitTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05.999999999Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1 {
			return t.UTC()
		}
	}
	return time.Time{}
}
