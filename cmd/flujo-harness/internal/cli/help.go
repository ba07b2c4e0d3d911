package cli

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the maximum width of a help text, in columns.
const helpWidth = 100

// The groups of commands in the help of the program, in the order shown.
const (
	GroupTest    = "test"
	GroupMeasure = "measure"
	GroupLook    = "look"
	GroupTrust   = "trust"
)

// Dress sets up what all commands share: groups, the version, help that fits the width, and
// errors that suggest the flag that was probably meant. groups maps the name of each command to
// its group.
func Dress(root *cobra.Command, groups map[string]string) {
	root.AddGroup(&cobra.Group{ID: GroupTest, Title: "Test:"}, &cobra.Group{ID: GroupMeasure, Title: "Measure:"},
		&cobra.Group{ID: GroupLook, Title: "Look:"}, &cobra.Group{ID: GroupTrust, Title: "Trust:"})
	for _, cmd := range root.Commands() {
		cmd.GroupID = groups[cmd.Name()]
	}
	root.Version = version()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	usage := strings.NewReplacer(
		".LocalFlags.FlagUsages", fmt.Sprintf(".LocalFlags.FlagUsagesWrapped %d", helpWidth),
		".InheritedFlags.FlagUsages", fmt.Sprintf(".InheritedFlags.FlagUsagesWrapped %d", helpWidth)).Replace(root.UsageTemplate())
	root.SetUsageTemplate(usage)
	root.SetFlagErrorFunc(flagError)
}

// version returns "v1.2.3", or "(devel)" without a tag, with the commit and the Go version.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown), " + runtime.Version()
	}
	setting := func(key string) string {
		for _, s := range info.Settings {
			if s.Key == key {
				return s.Value
			}
		}
		return ""
	}
	text := cmp.Or(info.Main.Version, "(devel)")
	if commit := setting("vcs.revision"); commit != "" {
		text += ", commit " + commit[:min(12, len(commit))]
		if setting("vcs.modified") == "true" {
			text += " with changes"
		}
	}
	return text + ", " + info.GoVersion
}

// Date returns the time of the commit that the program was built from, or 1 January 1970 if it is
// unknown.
func Date() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if at, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return at
			}
		}
	}
	return time.Unix(0, 0).UTC()
}

// ofGoTest lists flags of go test and Ginkgo that users pass to run by mistake.
var ofGoTest = []string{"run", "v", "race", "count", "short", "tags", "timeout", "cover", "coverprofile", "p", "parallel", "skip", "bench",
	"focus", "label-filter", "procs", "until-it-fails", "repeat", "vv", "failfast", "fail-fast", "covermode", "coverpkg", "cpu"}

// flagError adds to err the flag that was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	asked := unknown.GetSpecifiedName()
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		asked, _, _ = strings.Cut(short, "=")
	}
	if cmd.Name() == "run" && slices.Contains(ofGoTest, asked) {
		return fmt.Errorf("%w: flags of go test and ginkgo come after \"--\": flujo-harness run ./... -- -%s", err, asked)
	}
	if near := nearest(asked, cmd); near != "" {
		return fmt.Errorf("%w: did you mean --%s?", err, near)
	}
	return err
}

// nearest returns the flag of a command whose name is most similar to name, or "" if none is.
func nearest(name string, cmd *cobra.Command) (best string) {
	least := 1 + len(name)/3
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d := distance(name, f.Name); !f.Hidden && (d < least || d == least && best == "") {
			least, best = d, f.Name
		}
	})
	return best
}

// distance returns the Levenshtein distance: the number of letters to insert, remove or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// Meant returns the command that was probably meant by an unknown one, or "" if none is similar.
func Meant(root *cobra.Command, args []string) string {
	root.SuggestionsMinimumDistance = 2
	for _, name := range root.SuggestionsFor(append(args, "")[0]) {
		if name != "" {
			return name
		}
	}
	return ""
}
