package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Exec returns a runner that runs each session in a fresh process: the program
// exe with args, which must call [ServeSession].
func Exec(exe string, args ...string) Runner {
	return func(ctx context.Context, s Session) (SessionResult, error) {
		var res SessionResult
		order, err := json.Marshal(s)
		if err != nil {
			return res, err
		}
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, exe, args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(order), &stdout, &stderr
		if err := cmd.Run(); err != nil {
			return res, fmt.Errorf("session process: %w: %s", err, strings.TrimSpace(stderr.String()))
		}
		if err := json.Unmarshal(stdout.Bytes(), &res); err != nil {
			return res, fmt.Errorf("read the result of the session process: %w", err)
		}
		return res, nil
	}
}

// ServeSession is the other end of [Exec]: it reads an order from in, runs it in
// this process, and writes the result to out.
func ServeSession(ctx context.Context, in io.Reader, out io.Writer) error {
	var s Session
	dec := json.NewDecoder(in)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return fmt.Errorf("read the order of the session: %w", err)
	}
	res, err := s.Run(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(res)
}
