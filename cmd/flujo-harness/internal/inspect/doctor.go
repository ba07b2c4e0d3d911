package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/reports/render"
)

// DoctorCommand returns the doctor command.
func DoctorCommand() *cobra.Command {
	var dir, file string
	var strict bool
	cmd := &cobra.Command{
		Use: "doctor", Args: cobra.NoArgs,
		Short: "Check whether this machine is suitable for measurements",
		Example: `  flujo-harness doctor
  flujo-harness doctor --dir /mnt/ci --strict`,
		Long: `Measures the clock, the cores, the disk and saves, reads the system's settings, and
reports whether to measure here: at any durability, at "process" only, or not at all.
It takes a few seconds. Other programs that run at the same time affect the result.

Marks: ok; note, worth knowing; warn, timings are longer or less certain; bad, timings
cannot be trusted; unknown, the fact cannot be determined here. Every figure has its
unit and n.

Exit codes: 0 with or without warnings; 2 usage; 3 the checks could not be completed, for
example because the folder is not writable; 4 with --strict if timings must not be gated
here; 130 interrupted.

--json writes {"schema": 1, "dir", "started", "seconds", "environment", "checks":
[{"name", "mark", "finding", "figures": [{"name", "value", "unit", "n"}], "do", "bars"}],
"advice", "reasons" (names of checks)}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, err := doctorDir(dir)
			if err != nil {
				return err
			}
			backend, err := harness.BackendAt("")
			if err != nil {
				return cli.Fault(err)
			}
			progress := cli.NewProgress(cmd.ErrOrStderr())
			defer progress.End()
			inspection, err := machine.Inspect(cmd.Context(), folder, backend, func(check string) { progress.Set("checking this machine", check) })
			progress.End()
			if cmd.Context().Err() != nil {
				return &cli.ExitError{Code: cli.ExitInterrupted, Err: nil}
			}
			if err != nil {
				return cli.Fault(err)
			}
			if file == "-" {
				err = cli.PrintJSON(cmd.OutOrStdout(), inspection)
			} else {
				err = cli.Print(cmd.OutOrStdout(), inspectionText(cli.NewScreen(cmd.OutOrStdout()), inspection))
			}
			if err == nil && file != "" && file != "-" {
				err = writeInspection(file, inspection)
			}
			if err != nil {
				return err
			}
			return inspectionExit(inspection, strict)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder to measure in (default .flujo of the module, or the module if that does not exist)")
	cmd.Flags().StringVar(&file, "json", "", `write JSON to this file; "-" writes it to standard output in place of the table`)
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 4 if timings must not be gated here")
	return cmd
}

// doctorDir returns the folder that the user named, or the default folder of measurements.
func doctorDir(given string) (string, error) {
	if given != "" {
		info, err := os.Stat(given)
		if err == nil && !info.IsDir() {
			err = errors.New("not a folder")
		}
		if err != nil {
			return "", cli.Usage(fmt.Errorf("--dir %s: %w: name an existing folder", given, err))
		}
		return given, nil
	}
	p, err := project.Find()
	if err != nil {
		return "", cli.Fault(err)
	}
	if dir := p.Path("", ".flujo"); project.IsDir(dir) {
		return dir, nil
	}
	return p.Root, nil
}

// inspectionExit returns the exit code of an inspection.
func inspectionExit(p *machine.Inspection, strict bool) error {
	if strict && p.Advice == machine.NoTimings {
		return &cli.ExitError{Code: cli.ExitInconclusive}
	}
	return nil
}

func writeInspection(path string, p *machine.Inspection) error {
	var text bytes.Buffer
	if err := cli.PrintJSON(&text, p); err != nil {
		return err
	}
	if err := cli.WriteWhole(path, text.Bytes()); err != nil {
		return cli.Fault(fmt.Errorf("--json %s: %w", path, err))
	}
	return nil
}

// inspectionText formats one line per check, wrapped if necessary, then the advice and the
// remedies.
func inspectionText(s render.Screen, p *machine.Inspection) string {
	const markWidth, nameWidth = 7, 10
	width := 100
	if s.Width > 0 {
		width = min(width, s.Width)
	}
	indent := strings.Repeat(" ", markWidth+2+nameWidth+2)
	var b, todo strings.Builder
	for _, c := range p.Checks {
		for i, line := range cli.Wrap(c.Finding, width-len(indent)) {
			before := indent
			if i == 0 {
				before = s.Paint(markColour(c.Mark), fmt.Sprintf("%-*s", markWidth, c.Mark)) + fmt.Sprintf("  %-*s  ", nameWidth, c.Name)
			}
			b.WriteString(before + line + "\n")
		}
		if c.Do == "" {
			continue
		}
		for i, line := range cli.Wrap(c.Do, width-nameWidth-4) {
			name := ""
			if i == 0 {
				name = c.Name
			}
			fmt.Fprintf(&todo, "  %-*s  %s\n", nameWidth, name, line)
		}
	}
	var warned []string // warnings that do not change the advice
	for _, c := range p.Checks {
		if c.Mark == machine.MarkWarn && !slices.Contains(p.Reasons, c.Name) {
			warned = append(warned, c.Name)
		}
	}
	advice := string(p.Advice)
	if len(p.Reasons) > 0 {
		advice += ", because of " + strings.Join(p.Reasons, ", ")
	}
	if len(warned) > 0 {
		advice += "; figures vary more for " + strings.Join(warned, ", ")
	}
	b.WriteString("\n" + s.Paint(cli.Bold, strings.Join(cli.Wrap(advice, width), "\n")) + "\n")
	if todo.Len() > 0 {
		b.WriteString("what to do:\n" + todo.String())
	}
	return b.String()
}

func markColour(m machine.Mark) ansi.Style {
	return map[machine.Mark]ansi.Style{machine.MarkOK: cli.Green, machine.MarkNote: cli.Cyan, machine.MarkWarn: cli.Yellow, machine.MarkBad: cli.Red, machine.MarkUnknown: cli.Dim}[m]
}
