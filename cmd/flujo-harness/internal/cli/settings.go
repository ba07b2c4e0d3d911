package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
)

// SettingsFile is the name of the file in which a module sets values for flags.
const SettingsFile = ".flujo.toml"

// settings are the values of [SettingsFile]. Paths are relative to the file.
type settings struct {
	DB         string   `toml:"db"`          // history database
	Out        string   `toml:"out"`         // folder of the report
	Store      string   `toml:"store"`       // store of runs that machines share
	Limits     string   `toml:"limits"`      // folder of the limits files
	LimitsFrom string   `toml:"limits-from"` // revision whose limits judge
	Target     *float64 `toml:"target"`      // pass rate that gate requires, percent
	SourceURL  string   `toml:"source-url"`  // for links to lines of files
}

// settingNames lists the flags that have settings.
var settingNames = []string{"db", "out", "store", "limits", "limits-from", "target", "source-url"}

// withoutSettings lists the commands whose --db is not the history but a database of the engine.
var withoutSettings = []string{"runs", "trace"}

// ApplySettings sets flags of a command that were not given: from variables such as FLUJO_DB, or
// else from the settings file in the folder root, if it exists. An unknown setting is an error,
// because a misspelt one would silently change what is judged.
func ApplySettings(cmd *cobra.Command, root string) error {
	if slices.Contains(withoutSettings, cmd.Name()) {
		return nil
	}
	of, err := readSettings(filepath.Join(root, SettingsFile))
	if err != nil {
		return Usage(err)
	}
	for _, name := range settingNames {
		f := cmd.Flags().Lookup(name)
		if f == nil || f.Changed {
			continue
		}
		from := "FLUJO_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		value := os.Getenv(from)
		switch {
		case strings.TrimSpace(value) == "":
			from, value = SettingsFile, of[name]
		case name == "store":
			continue // read when the store is opened, because a password must not be in a command line
		}
		if value == "" {
			continue
		}
		if err := cmd.Flags().Set(name, value); err != nil {
			return Usage(fmt.Errorf("%s: %s: %w", from, name, err))
		}
	}
	return nil
}

// readSettings reads the settings file. It returns nil if there is none.
func readSettings(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	var s settings
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) && len(strict.Errors) > 0 {
			row, _ := strict.Errors[0].Position()
			return nil, fmt.Errorf("%s, line %d: there is no setting %q: use db, out, store, limits, limits-from, target or source-url",
				path, row, strings.Join(strict.Errors[0].Key(), "."))
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	within := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(filepath.Dir(path), p)
	}
	values := map[string]string{"db": within(s.DB), "out": within(s.Out), "store": s.Store, "limits": within(s.Limits), "limits-from": s.LimitsFrom, "source-url": s.SourceURL}
	if s.Target != nil {
		values["target"] = fmt.Sprint(*s.Target)
	}
	return values, nil
}
