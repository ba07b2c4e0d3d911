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

// Identity identifies a calibration. Sessions with different identities must not be combined.
type Identity struct {
	Workload    string              `json:"workload"`
	Durability  string              `json:"durability"`
	Program     string              `json:"program"` // digest of the executable
	Commit      string              `json:"commit"`
	Environment machine.Environment `json:"environment"`
	Plan        harness.Plan        `json:"plan"` // without batch sizes, any fitted sizes match
	Seed        uint64              `json:"seed"` // random seed; 0 matches any
}

// differs returns the first difference from a recorded identity, or "".
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

// Checkpoint stores the sessions of a calibration in a file, so that a killed calibration can be
// resumed. The file has one line of JSON for the identity and one per session. Only one process
// may use a file at a time.
type Checkpoint struct {
	Began     time.Time // start of the calibration
	Discarded string    // why existing sessions were discarded, or ""

	path     string
	id       Identity // identity of the sessions; the requested one before the first session
	sessions []harness.SessionResult
}

// checkpointHead is the first line of the file.
type checkpointHead struct {
	Schema int       `json:"schema"` // 1
	Began  time.Time `json:"began"`
	Identity
}

// OpenCheckpoint reads the file at path. Sessions of another identity are discarded. A line that
// was not completely written is removed together with everything after it.
func OpenCheckpoint(path string, id Identity, now time.Time) (*Checkpoint, error) {
	k := &Checkpoint{Began: now, path: path, id: id}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read recorded sessions: %w", err)
	}
	head, rest, whole := bytes.Cut(data, []byte("\n"))
	var h checkpointHead
	switch err := json.Unmarshal(head, &h); {
	case err != nil || !whole || h.Schema != 1:
		k.Discarded = "the recorded sessions cannot be read"
	case id.differs(h.Identity) != "":
		k.Discarded = fmt.Sprintf("the sessions of %s are of %s", h.Began.Local().Format("2006-01-02 15:04"), id.differs(h.Identity))
	}
	if k.Discarded != "" {
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
	if len(k.sessions) == 0 { // an identity without sessions
		k.Began, k.id = now, id
		return k, k.Remove()
	}
	if err := os.Truncate(path, int64(good)); err != nil {
		return nil, fmt.Errorf("remove an incomplete session: %w", err)
	}
	return k, nil
}

// Sessions returns the number of recorded sessions.
func (k *Checkpoint) Sessions() int { return len(k.sessions) }

// Resume returns spec with the random seed and the batch sizes of the recorded sessions.
func (k *Checkpoint) Resume(spec harness.Spec) harness.Spec {
	if len(k.sessions) > 0 {
		spec.Plan, spec.Seed = k.id.Plan, k.id.Seed
	}
	return spec
}

// Runner returns the recorded sessions first and then runs further ones with next and records
// them. An invalid session is not recorded: resuming would otherwise never get past it.
func (k *Checkpoint) Runner(next harness.Runner) harness.Runner {
	return func(ctx context.Context, s harness.Session) (harness.SessionResult, error) {
		if s.Fit != nil {
			return next(ctx, s)
		}
		if len(k.sessions) > 0 && (s.Seed != k.id.Seed || !reflect.DeepEqual(s.Plan, k.id.Plan)) {
			return harness.SessionResult{}, errors.New("the seed or the plan differs from that of the recorded sessions: use the result of Resume")
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

// keep appends a session, and the identity before the first one.
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

// Remove removes the file.
func (k *Checkpoint) Remove() error {
	if err := os.Remove(k.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the sessions of the calibration: %w", err)
	}
	return nil
}

// sound reports whether a session is valid.
func sound(res harness.SessionResult) bool {
	return res.Problem == "" && len(res.Slots) > 0 && !slices.ContainsFunc(res.Audit, func(f harness.Finding) bool { return !f.OK })
}
