package coretest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// hostile returns names that are similar, or have a special meaning to some layer between the
// caller and the disk.
func hostile() []string {
	long := strings.Repeat("n", 70_000)
	return []string{
		"r", "R", "r ", " r", "r\n", "r\x00", "r\x00x", "\x00", "ŕ", "r\u0301", // composed and decomposed
		"ß", "ss", "ſ", "s", "K", "\u212a", "ａ", "a", "1", "01", "1.0", "1e0", "NULL", "true",
		"r%", "r_", "%", "_", "*", "r/x", "/", "r'x", `r"x`, "r`x", `r\x`, "r;--", "$1", "?1", ":r", "\xff", "\xfe", "\ufffd", "\ufeffr", "r\u200d", "\U0001F4A5",
		long, long + "n", long[1:] + "N",
	}
}

func (s *suite) names() {
	s.must("similar names are different runs", func(t testing.TB) {
		b := s.open(t)
		t.Cleanup(func() { check(t, "close", b.Close(), nil) })
		keys := []core.RunKey{{Tenant: "a/b", Run: "c"}, {Tenant: "a", Run: "b/c"}, {Run: "a/b/c"}} // all print the same
		for _, name := range hostile() {
			keys = append(keys, core.RunKey{Run: name}, core.RunKey{Tenant: "tenant", Run: name}, core.RunKey{Tenant: name, Run: "run"})
		}
		for i, k := range keys {
			rec := startOf(k)
			rec.State = fmt.Append(nil, i)
			lease, err := b.Start(ctx, rec)
			check(t, fmt.Sprintf("start of %.40q", k), err, nil)
			pause := pauseOf(1, "t"+k.Run)
			pause.Path = "p" + k.Run
			check(t, fmt.Sprintf("pause of %.40q", k), b.Step(ctx, lease, pause), nil)
		}
		for i, k := range keys {
			_, err := b.Start(ctx, startOf(k))
			check(t, fmt.Sprintf("second start of %.40q", k), err, core.ErrRunExists)
			check(t, fmt.Sprintf("answer to %.40q", k), b.Signal(ctx, k, answerOf("t"+k.Run, 5, fmt.Sprint(i))), nil)
		}
		for i, k := range keys {
			got := load(t, b, k)
			if got.Start.Key != k || string(got.State) != fmt.Sprint(i) || len(got.Steps) != 1 || got.Steps[0].Path != "p"+k.Run ||
				len(got.Answers) != 1 || string(got.Answers[0].Answer) != fmt.Sprint(i) {
				t.Errorf("run %.40q has data of another run: state %s, %d steps, answers %v", k, got.State, len(got.Steps), got.Answers)
			}
		}
	})
}
