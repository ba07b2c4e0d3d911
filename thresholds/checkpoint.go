package thresholds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// Identity is what must be the same for sessions to belong to one calibration.
type Identity struct {
	Workload    string              `json:"workload"`
	Durability  string              `json:"durability"`
	Program     string              `json:"program"` // hash of the executable
	Commit      string              `json:"commit"`
	Environment machine.Environment `json:"environment"`
	Plan        harness.Plan        `json:"plan"` // no batches: whatever was fitted
	Seed        uint64              `json:"seed"` // 0: whatever it was
}

// differs names what of an identity is another in a recorded one, "" for nothing.
func (id Identity) differs(recorded Identity) string {
	if len(id.Plan.Batch) == 0 {
		recorded.Plan.Batch = id.Plan.Batch
	}
	switch {
	case id.Workload != recorded.Workload || id.Durability != recorded.Durability:
		return "another workload"
	case id.Commit != recorded.Commit:
		return "another commit"
	case id.Program != recorded.Program:
		return "another build of the program"
	case !reflect.DeepEqual(id.Environment, recorded.Environment):
		return "another environment"
	case !reflect.DeepEqual(id.Plan, recorded.Plan):
		return "another plan"
	case id.Seed != 0 && id.Seed != recorded.Seed:
		return "another seed"
	}
	return ""
}

// Checkpoint keeps the sessions of a calibration in a file as they come, so that one
// that was killed can go on: a line of JSON for its identity and one for each session.
// It is for one calibration at a time.
type Checkpoint struct {
	Began time.Time // of the calibration
	Anew  string    // why sessions that were there are not taken, "" where there were none

	path     string
	id       Identity // of the sessions; before the first the one asked for
	sessions []harness.SessionResult
}

// checkpointHead is the first line.
type checkpointHead struct {
	Schema int       `json:"schema"` // 1
	Began  time.Time `json:"began"`
	Identity
}

// OpenCheckpoint reads what is at path, if it is of the given identity. A line that
// was not written to its end is cut off, with all after it.
func OpenCheckpoint(path string, id Identity, now time.Time) (*Checkpoint, error) {
	k := &Checkpoint{Began: now, path: path, id: id}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the sessions that are there: %w", err)
	}
	head, rest, whole := bytes.Cut(data, []byte("\n"))
	var h checkpointHead
	switch err := json.Unmarshal(head, &h); {
	case err != nil || !whole || h.Schema != 1:
		k.Anew = "the sessions that are there cannot be read"
	case id.differs(h.Identity) != "":
		k.Anew = fmt.Sprintf("the sessions of %s are of %s", h.Began.Local().Format("2006-01-02 15:04"), id.differs(h.Identity))
	}
	if k.Anew != "" {
		return k, k.Remove()
	}
	k.Began, k.id = h.Began, h.Identity
	good := len(data) - len(rest)
	for {
		line, more, whole := bytes.Cut(rest, []byte("\n"))
		var res harness.SessionResult
		if !whole || json.Unmarshal(line, &res) != nil || !sound(res) {
			break
		}
		k.sessions = append(k.sessions, res)
		rest, good = more, good+len(line)+1
	}
	if len(k.sessions) == 0 { // the head alone says nothing
		k.Began, k.id = now, id
		return k, k.Remove()
	}
	if err := os.Truncate(path, int64(good)); err != nil {
		return nil, fmt.Errorf("cut off a session that was not written to its end: %w", err)
	}
	return k, nil
}

// Sessions is the number of those that are there.
func (k *Checkpoint) Sessions() int { return len(k.sessions) }

// Resume makes an order go on where the sessions end: in their seed and batches.
func (k *Checkpoint) Resume(spec harness.Spec) harness.Spec {
	if len(k.sessions) > 0 {
		spec.Plan, spec.Seed = k.id.Plan, k.id.Seed
	}
	return spec
}

// Runner gives the sessions that are there first, then those of next, each of which it
// keeps. A session that was at fault is not kept: it would be so for ever.
func (k *Checkpoint) Runner(next harness.Runner) harness.Runner {
	return func(ctx context.Context, s harness.Session) (harness.SessionResult, error) {
		if s.Fit != nil {
			return next(ctx, s)
		}
		if len(k.sessions) > 0 && (s.Seed != k.id.Seed || !reflect.DeepEqual(s.Plan, k.id.Plan)) {
			return harness.SessionResult{}, errors.New("it is of another seed or plan than the sessions that are there: order what Resume gives")
		}
		if s.Number <= len(k.sessions) {
			return k.sessions[s.Number-1], nil
		}
		res, err := next(ctx, s)
		if err != nil || !sound(res) {
			return res, err
		}
		if err := k.keep(s, res); err != nil {
			return res, fmt.Errorf("keep session %d: %w", s.Number, err)
		}
		return res, nil
	}
}

// keep appends a session, and before the first the identity.
func (k *Checkpoint) keep(s harness.Session, res harness.SessionResult) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	if len(k.sessions) == 0 {
		k.id.Plan, k.id.Seed = s.Plan, s.Seed
		if err := os.MkdirAll(filepath.Dir(k.path), 0o755); err != nil {
			return err
		}
		if err := enc.Encode(checkpointHead{Schema: 1, Began: k.Began.UTC(), Identity: k.id}); err != nil {
			return err
		}
	}
	if err := enc.Encode(res); err != nil {
		return err
	}
	f, err := os.OpenFile(k.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(out.Bytes())
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	k.sessions = append(k.sessions, res)
	return nil
}

// Remove forgets the sessions that are in the file.
func (k *Checkpoint) Remove() error {
	if err := os.Remove(k.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the sessions of the calibration: %w", err)
	}
	return nil
}

// sound reports whether a session ended well.
func sound(res harness.SessionResult) bool {
	return res.Problem == "" && len(res.Slots) > 0 && !slices.ContainsFunc(res.Audit, func(f harness.Finding) bool { return !f.OK })
}
