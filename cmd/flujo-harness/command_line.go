package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flujo/flujo-harness/harness/child"
	runs "github.com/flujo/flujo-harness/reports/store"
)

// commandLine returns a command line that repeats the call. It has only the flags that were given; a
// flag with several values is repeated.
func commandLine(cmd *cobra.Command, packages, flags []string) string {
	words := strings.Fields(cmd.CommandPath())
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if f.Name == "store" {
			values[0] = runs.Shown(values[0])
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, value := range values {
			// A value of a stringSlice flag is parsed as a line of CSV.
			if f.Value.Type() == "stringSlice" && strings.ContainsAny(value, ",\"\r\n") {
				value = `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
			}
			words = append(words, "--"+f.Name+"="+value)
		}
	})
	if len(flags) == 0 && slices.ContainsFunc(packages, func(name string) bool { return name != "-" && strings.HasPrefix(name, "-") }) {
		words = append(words, "--")
	}
	words = append(words, packages...)
	if len(flags) > 0 {
		words = append(append(words, "--"), flags...)
	}
	return child.ShellLine(words...)
}
