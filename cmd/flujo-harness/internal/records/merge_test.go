package records

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	runs "github.com/flujo/flujo-harness/reports/store"
	"github.com/flujo/flujo-harness/reports/store/storetest"
)

// onBehalf returns the identity of a job on behalf of a workflow of us/shop that ran for a branch of head.
func onBehalf(t *testing.T, head string) project.CIRun {
	t.Helper()
	event := filepath.Join(t.TempDir(), "event.json")
	text := `{"repository": {"full_name": "us/shop", "default_branch": "main"}, "workflow_run": {"id": 55, "run_attempt": 1, "head_sha": "1111111111111111111111111111111111111111",
		"head_branch": "fix", "head_repository": {"full_name": "` + head + `"}}}`
	if err := os.WriteFile(event, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "workflow_run", "GITHUB_EVENT_PATH": event, "GITHUB_RUN_ID": "9", "GITHUB_REPOSITORY": "us/shop"}
	return project.CIIdentity(func(name string) string { return env[name] })
}

// A run from another workflow gets its identity from the event, not from its own claims.
func TestMergeTakesTheIdentityFromTheEvent(t *testing.T) {
	dir := t.TempDir()
	box, err := runs.OpenFolder(filepath.Join(dir, "box"))
	if err != nil {
		t.Fatal(err)
	}
	future := storetest.Run(2, 1)
	future.Started = time.Now().Add(48 * time.Hour)
	liar := storetest.Run(1, 1)
	liar.Branch = "main"
	liar.Origin = reports.Origin{BaseBranch: "main", Job: "unit", OS: "linux", Ancestors: []string{"0000000000aa"}}
	for _, r := range []reports.Run{liar, future} {
		name, object, err := runs.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := box.Put(t.Context(), name, object); err != nil {
			t.Fatal(err)
		}
	}
	ci := onBehalf(t, "them/shop")
	h, err := history.Open(t.Context(), filepath.Join(dir, "h.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	m := merging{project: project.Project{Root: dir}, ci: ci}
	taken, _, err := m.folder(t.Context(), h, box)
	if err != nil || taken != 1 || len(m.refused) != 1 {
		t.Errorf("%d taken, refused %v, %v", taken, m.refused, err)
	}
	got, err := h.Latest(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	want := reports.Origin{Service: "github", BaseBranch: "main", Fork: true, Pipeline: "55", Attempt: 1, Job: "unit", OS: "linux", Ancestors: []string{"0000000000aa"}}
	if diff := cmp.Diff(want, got[0].Origin); diff != "" || got[0].Commit != "1111111111111111111111111111111111111111" || got[0].Branch != "fix" {
		t.Errorf("commit %s, branch %s, %s", got[0].Commit, got[0].Branch, diff)
	}
}
