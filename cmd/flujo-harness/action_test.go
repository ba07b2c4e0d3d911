package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"
)

// action has the parts of the composite action that its steps need.
type action struct {
	Inputs map[string]struct {
		Default string
	}
	Runs struct {
		Using string
		Steps []struct {
			ID, Name, If, Shell, Run string
			Dir                      string `yaml:"working-directory"`
			Env                      map[string]string
		}
	}
}

const actionPath = ".github/actions/flujo-harness/action.yml"

var expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)

// Values of inputs reach the shell only as variables. In the text of a step they would be
// executed.
func TestActionRunsNoInput(t *testing.T) {
	var a action
	if err := yaml.Unmarshal([]byte(readTree(t, actionPath)), &a); err != nil {
		t.Fatal(err)
	}
	if a.Runs.Using != "composite" || len(a.Runs.Steps) < 3 {
		t.Fatalf("%+v", a.Runs)
	}
	for _, s := range a.Runs.Steps {
		if expression.MatchString(s.Run) {
			t.Errorf("step %s%s: an expression is part of its text", s.ID, s.Name)
		}
		if token := s.Env["GITHUB_TOKEN"]; token != "" && !strings.Contains(s.Run, " report --comment ") {
			t.Errorf("step %s%s has the token", s.ID, s.Name)
		}
	}
}

// runAction runs the steps of the composite action as GitHub does, in an environment with only
// the variables of a runner: action [NAME=VALUE...]. It writes their output to action.log and
// their outputs to action.outputs. Variables whose names begin with GITHUB_ come from the script.
func runAction(ts *testscript.TestScript, neg bool, args []string) {
	text, err := os.ReadFile(filepath.Join(ts.Getenv("REPO"), filepath.FromSlash(actionPath)))
	ts.Check(err)
	var a action
	ts.Check(yaml.Unmarshal(text, &a))
	values := map[string]string{"github.token": "a-token"}
	for name, in := range a.Inputs {
		values["inputs."+name] = in.Default
	}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		if _, ok := values["inputs."+name]; !ok {
			ts.Fatalf("the action has no input %q", name)
		}
		values["inputs."+name] = strings.ReplaceAll(value, `\n`, "\n")
	}
	fill := func(s string) string {
		return expression.ReplaceAllStringFunc(s, func(e string) string {
			v, ok := values[expression.FindStringSubmatch(e)[1]]
			if !ok {
				ts.Fatalf("the expression %s is not known here", e)
			}
			return v
		})
	}
	for name, value := range values { // a default may be an expression
		values[name] = fill(value)
	}
	temp, outputs, log := ts.MkAbs("runner-temp"), ts.MkAbs("action.outputs"), &strings.Builder{}
	ts.Check(os.MkdirAll(temp, 0o755))
	ts.Check(os.WriteFile(outputs, nil, 0o644))
	failed := false
	for _, step := range a.Runs.Steps {
		switch step.If {
		case "":
			if failed {
				continue
			}
		case "always() && inputs.comment == 'true' && steps.command.outputs.exit-code != ''":
			made, err := os.ReadFile(outputs)
			ts.Check(err)
			if values["inputs.comment"] != "true" || !strings.Contains(string(made), "exit-code=") {
				continue
			}
		default:
			ts.Fatalf("the condition %q is not known here", step.If)
		}
		if step.Shell != "bash" {
			ts.Fatalf("shell %q", step.Shell)
		}
		script := filepath.Join(temp, "step.sh")
		ts.Check(os.WriteFile(script, []byte(step.Run), 0o644))
		cmd := exec.Command("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script)
		cmd.Dir = ts.MkAbs(fill(step.Dir))
		cmd.Env = []string{"RUNNER_TEMP=" + temp, "GITHUB_OUTPUT=" + outputs}
		for _, name := range []string{"PATH", "HOME", "TMPDIR", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "GOSUMDB", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"} {
			if v := ts.Getenv(name); v != "" {
				cmd.Env = append(cmd.Env, name+"="+v)
			}
		}
		for name, value := range step.Env {
			cmd.Env = append(cmd.Env, name+"="+fill(value))
		}
		cmd.Stdout, cmd.Stderr = log, log
		failed = cmd.Run() != nil || failed
	}
	ts.Check(os.WriteFile(ts.MkAbs("action.log"), []byte(log.String()), 0o644))
	ts.Logf("%s", log)
	if failed != neg {
		ts.Fatalf("the action failed: %v", failed)
	}
}
