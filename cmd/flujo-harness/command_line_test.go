package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"
)

// A shell parses the recorded command of a run as the same call, whatever the arguments are.
func TestTheRecordedCommandCanBeTypedAgain(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell here")
	}
	text := rapid.OneOf(rapid.SampledFrom([]string{"[single]", "a b", "it's", `"q"`, "a,b", "$HOME", "-x", "*"}),
		rapid.StringMatching("[a-z'\", ,$*-]{1,8}"))
	rapid.Check(t, func(t *rapid.T) {
		var args []string
		for _, name := range []string{"workload", "durability", "db", "limits"} {
			if rapid.Bool().Draw(t, name) {
				value := text.Draw(t, name+" value")
				if name == "workload" || name == "durability" {
					value = `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
				}
				args = append(args, "--"+name+"="+value)
			}
		}
		if rapid.Bool().Draw(t, "strict") {
			args = append(args, "--strict")
		}
		packages := rapid.SliceOfN(text.Filter(func(s string) bool { return !strings.HasPrefix(s, "-") }), 1, 3).Draw(t, "packages")
		flags := rapid.SliceOfN(text, 0, 3).Draw(t, "flags")
		parse := func(args []string) (cmd *cobra.Command, rest []string, values []string) {
			cmd, left, err := command().Find(append([]string{"run"}, args...))
			if err == nil {
				err = cmd.ParseFlags(left)
			}
			if err != nil {
				t.Fatalf("%q: %v", args, err)
			}
			cmd.Flags().Visit(func(f *pflag.Flag) {
				of := []string{f.Value.String()}
				if list, ok := f.Value.(pflag.SliceValue); ok {
					of = list.GetSlice()
				}
				values = append(values, f.Name+"="+strings.Join(of, "\x00"))
			})
			return cmd, cmd.Flags().Args(), values
		}
		all := append(slices.Clone(args), packages...)
		if len(flags) > 0 {
			all = append(append(all, "--"), flags...)
		}
		cmd, rest, values := parse(all)
		line := commandLine(cmd, packages, flags)
		out, err := exec.Command("sh", "-c", "set -- "+line+"\nfor w; do printf '%s\\0' \"$w\"; done").Output()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		_, again, same := parse(words[2:])
		if !slices.Equal(again, rest) || !slices.Equal(same, values) {
			t.Errorf("%s\nis read as %q, %q\nwant %q, %q", line, same, again, values, rest)
		}
	})
}
