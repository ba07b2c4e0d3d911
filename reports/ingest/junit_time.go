package ingest

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports/internal/text"
)

// clock reads the durations of one file. A duration is no result: what cannot be read
// costs a note, not the file.
type clock struct {
	point, comma bool // a time of the file shows that this is the decimal mark
	doubtful     []doubtful
	bad          int    // times that are no duration
	badText      string // the first of them
}

// doubtful is a time such as "1,078": 1.078 or 1078 seconds. It is the first if other
// times of the file show that the comma is the decimal mark, and else no duration.
type doubtful struct {
	text string
	to   func(time.Duration)
}

// longestTime is the longestTime duration that is believed: numbers beyond it are nanoseconds,
// or times since 1970.
const longestTime = 30 * 24 * time.Hour

var (
	plainTime     = regexp.MustCompile(`^\d*\.?\d+(?:[eE][-+]?\d{1,3})?$|^\d+\.$`)
	thousandsTime = regexp.MustCompile(`^[1-9]\d{0,2}(,\d{3})+\.\d*$|^[1-9]\d{0,2}(,\d{3}){2,}$`) // as surefire writes them
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

// read reads the duration of an element. It returns the text of a doubtful one: see
// [clock.later].
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

// later passes a doubtful duration to a function when the file has ended, if it is one.
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

// seconds reads "0.25", "1e-05", "1,234.5", "0,25", "1.234,5", "00:01:02.5", "250 ms".
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
			hours, _ := strconv.Atoi(m[1]) // "" is none
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

// settle decides what was doubtful, and notes what was no duration.
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
		note("times that are no duration, taken as none: %d; the first is %q", c.bad, shortText(c.badText))
	}
}

// shortText is a text of a file for a note.
func shortText(text string) string {
	if len(text) > 80 {
		return strings.ToValidUTF8(text[:80], "") + "…"
	}
	return text
}

// stamp reads a time stamp as junitTime does, and notes one without a zone.
func (r *Reading) stamp(text string) time.Time {
	t := junitTime(text)
	if _, clock, dated := strings.Cut(strings.ReplaceAll(text, " ", "T"), "T"); !t.IsZero() && dated && !strings.ContainsAny(clock, "Zz+-") {
		r.NoZone = true
	}
	return t
}

// junitTime reads a time stamp; one without a zone is taken as UTC. It is zero where
// there is none, or one of another form.
func junitTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05.999999999Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1 {
			return t.UTC()
		}
	}
	return time.Time{}
}
