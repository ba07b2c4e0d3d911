package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
)

// What is judged must not depend on whether a variable of a script is set.
func TestFlagsWithoutAValueAreRefused(t *testing.T) {
	flags := 0
	var walk func(*cobra.Command)
	walk = func(parent *cobra.Command) {
		for _, cmd := range parent.Commands() {
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				if f.Name == "tenant" {
					return // "" is the tenant without a name
				}
				flags++
				fresh, _, err := command().Find(strings.Fields(cmd.CommandPath())[1:])
				if err != nil {
					t.Fatal(err)
				}
				for _, value := range []string{"", " "} {
					if err = fresh.ParseFlags([]string{"--" + f.Name + "=" + value}); err == nil {
						err = cli.NoEmptyValues(fresh)
					}
					if err == nil {
						t.Errorf("%s --%s=%q was taken", cmd.CommandPath(), f.Name, value)
					}
				}
			})
			walk(cmd)
		}
	}
	walk(command())
	if flags < 50 {
		t.Errorf("looked at %d flags only", flags)
	}
}
