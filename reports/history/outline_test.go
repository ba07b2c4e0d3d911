package history

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

// The outline of a run has no messages, outputs or attachments, and FillTexts adds those of the given
// specs, for any order of the results and with texts that several specs share.
func TestOutline(t *testing.T) {
	first, second, third := sample.Spec("first", reports.Failed), sample.Spec("second", reports.Failed), sample.Spec("third", reports.Skipped)
	first.Message, first.Output, first.Detail = "the same", "printed", "panicked"
	second.Message = "the same"
	third.Message = "not today"
	third.Attachments = []reports.Attachment{{Name: "shot.png", Type: "image/png", Path: "out/shot.png"}, {Name: "page", Path: "https://example.com"}}
	second.Attachments = third.Attachments[:1]
	third.Labels = []string{"owner:tea", "slow"}
	h := open(t, filepath.Join(t.TempDir(), "history.db"))
	for _, specs := range [][]reports.Spec{{first, second, third}, {third, second, first}} {
		want := sample.Results(700, specs...)
		added, err := h.Append(t.Context(), reports.Run{Suites: want})
		if err != nil {
			t.Fatal(err)
		}
		err = h.Read(t.Context(), func(r *Reader) error {
			whole, err := r.Results(added.ID)
			if err != nil {
				return err
			}
			if diff := cmp.Diff(want.Specs, whole.Specs); diff != "" {
				t.Errorf("whole:\n%s", diff)
			}
			outline, err := r.Outline(added.ID)
			if err != nil {
				return err
			}
			var all []*reports.Spec
			for i := range outline.Specs {
				s := &outline.Specs[i]
				if s.Message != "" || s.Output != "" || s.Attachments != nil {
					t.Errorf("%s has the message %q and the output %q", s.Leaf, s.Message, s.Output)
				}
				if s.Leaf == "first" || s.Leaf == "third" {
					all = append(all, s)
				}
			}
			if err := r.FillTexts(added.ID, append(all, &reports.Spec{Leaf: "nobody"})); err != nil {
				return err
			}
			for i := range whole.Specs {
				if whole.Specs[i].Leaf == "second" {
					whole.Specs[i].Message, whole.Specs[i].Attachments = "", nil
				}
			}
			if diff := cmp.Diff(whole.Specs, outline.Specs); diff != "" {
				t.Errorf("filled:\n%s", diff)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
