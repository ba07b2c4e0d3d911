package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
)

// checkCall returns what is wrong with the words after the name of the program.
func checkCall(words []string) error {
	cmd, rest, err := command().Find(words)
	if err != nil {
		return err
	}
	if !cmd.HasParent() {
		return fmt.Errorf("no command %q", words)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// harnessCall matches a call of the program in a script or in Markdown.
var harnessCall = regexp.MustCompile("(?:go tool |go run \\./cmd/|run: |- |`)flujo-harness ([a-z]+(?: [^`\n&|#]*)?)")

// shellVariable matches a shell variable, whose value is only known at run time.
var shellVariable = regexp.MustCompile(`"\$\w+"`)

// calls returns the calls of the program in a text.
func calls(text string) (all [][]string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	text = shellVariable.ReplaceAllString(text, "1")
	for _, m := range harnessCall.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Fields(m[1]))
	}
	return all
}

func TestCheckCallFindsWhatThereIsNot(t *testing.T) {
	for _, bad := range []string{"nope", "run --nope", "gate --targets 3", "history backup", "compare"} {
		if checkCall(strings.Fields(bad)) == nil {
			t.Errorf("%q is taken for a call that can be made", bad)
		}
	}
}

// The workflows are valid for the services, and call existing commands and flags.
func TestWorkflows(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("go.mod", []byte("module example.com/shop\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("thresholds/limits", 0o755); err != nil {
		t.Fatal(err)
	}
	var shown, said bytes.Buffer
	if code := run(t.Context(), []string{"init", "--dry-run", "--ci=github,gitlab"}, strings.NewReader(""), &shown, &said); code != cli.ExitHeld {
		t.Fatalf("exit %d: %s", code, said.String())
	}
	files := txtar.Parse(shown.Bytes()).Files
	for _, f := range files {
		for _, words := range calls(string(f.Data)) {
			if err := checkCall(words); err != nil {
				t.Errorf("%s calls %q: %v", f.Name, words, err)
			}
		}
	}
	read := func(path string, into any) {
		t.Helper()
		for _, f := range files {
			if f.Name == path {
				if err := yaml.Unmarshal(f.Data, into); err != nil {
					t.Fatalf("%s: %v", path, err)
				}
			}
		}
	}

	var github struct {
		Jobs map[string]struct {
			Steps []struct {
				Uses, Run, If string
				With          struct{ Path, Key string }
			}
		}
	}
	read(".github/workflows/flujo-harness.yml", &github)
	cached, run := map[string]bool{}, ""
	for i, step := range github.Jobs["flujo-harness"].Steps {
		if (step.Uses == "") == (step.Run == "") {
			t.Errorf("github: step %d has uses %q and run %q, where one of them is needed", i+1, step.Uses, step.Run)
		}
		if strings.HasPrefix(step.Uses, "actions/cache/") {
			cached[step.With.Path+" as "+step.With.Key] = true
		}
		run += step.Run + "\n"
	}
	if len(cached) != 1 {
		t.Errorf("github: the history is restored and saved as one, not %v", cached)
	}

	// Jobs that run the module's code have read permission only; jobs that can write run none of
	// its code.
	var calibrate struct {
		Permissions map[string]string
		Jobs        map[string]struct {
			Permissions map[string]string
			Steps       []struct{ Uses, Run string }
		}
	}
	read(".github/workflows/flujo-harness-calibrate.yml", &calibrate)
	if len(calibrate.Permissions) != 0 || len(calibrate.Jobs) != 2 {
		t.Errorf("github: calibrate has permissions %v and %d jobs", calibrate.Permissions, len(calibrate.Jobs))
	}
	for name, job := range calibrate.Jobs {
		writes := fmt.Sprint(job.Permissions) != "map[contents:read]"
		for _, step := range job.Steps {
			if writes && regexp.MustCompile(`setup-go|flujo-harness (calibrate|run)|go `).MatchString(step.Uses+step.Run) {
				t.Errorf("github: job %s may do %v, and runs %s%s", name, job.Permissions, step.Uses, step.Run)
			}
			if strings.Contains(step.Run, "${{") {
				t.Errorf("github: job %s puts an expression into a shell script: %s", name, step.Run)
			}
		}
	}

	var gitlab map[string]struct {
		Script    []string
		After     []string `yaml:"after_script"`
		Cache     struct{ Paths []string }
		Artifacts struct{ Reports struct{ Junit string } }
	}
	read(".gitlab-ci.yml", &gitlab)
	job := gitlab["flujo-harness"]
	if len(job.Cache.Paths) != 1 || !strings.HasPrefix(job.Cache.Paths[0], ".flujo/history.db") {
		t.Errorf("gitlab: cached is %q", job.Cache.Paths)
	}
	if !strings.Contains(strings.Join(job.After, "\n"), "--junit "+job.Artifacts.Reports.Junit) {
		t.Errorf("gitlab: nothing writes %q", job.Artifacts.Reports.Junit)
	}
	for service, script := range map[string]string{"github": run, "gitlab": strings.Join(job.Script, "\n")} {
		if !strings.Contains(script, "go install "+module+"cmd/flujo-harness@") || !strings.Contains(script, "flujo-harness run ") || !strings.Contains(script, "flujo-harness gate ") {
			t.Errorf("%s runs %q", service, script)
		}
	}
}

// Commands in the READMEs exist, with their flags.
func TestReadmeCallsWhatThereIs(t *testing.T) {
	n := 0
	for _, name := range []string{"README.md", "core/README.md", "harness/README.md", "reports/README.md", "suites/README.md"} {
		for _, words := range calls(readTree(t, name)) {
			n++
			if err := checkCall(words); err != nil && words[0] != "help" {
				t.Errorf("%s: flujo-harness %s: %v", name, strings.Join(words, " "), err)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d calls are found in them", n)
	}
}
