package harness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/instructions"
)

// subjectCount describes a process that opens one subject and runs some operations of it, while
// a tool counts the instructions of the whole process.
type subjectCount struct {
	Subject string `json:"subject"`
	Ops     int    `json:"ops"`
}

// run is called in the process.
func (c subjectCount) run(ctx context.Context, subjects []Subject) (err error) {
	for _, s := range subjects {
		if s.Name != c.Subject {
			continue
		}
		op, closing, err := s.Open(ctx)
		if err != nil {
			return fmt.Errorf("open subject %q: %w", s.Name, err)
		}
		for i := range c.Ops {
			if err = op(i); err != nil {
				break
			}
		}
		if closing != nil {
			err = errors.Join(err, closing())
		}
		return err
	}
	return fmt.Errorf("no subject %q in this process", c.Subject)
}

// subjectCounts counts the instructions of subjects, by difference.
type subjectCounts struct{ all []*counting }

// counts prepares counting both subjects of each difference. If they cannot be counted, a note
// of the difference says why.
func (p ComparePlan) counts(ctx context.Context, all []*Difference) *subjectCounts {
	c := &subjectCounts{}
	if len(p.Exec) == 0 || p.TimeOnly {
		return c
	}
	tool, err := p.find(ctx)
	for _, d := range all {
		switch {
		case errors.Is(err, instructions.ErrNone):
			d.Notes = append(d.Notes, fmt.Sprintf("judged by time alone: %v", err))
		case err == nil:
			d.Instructions = &Instructions{Waits: 1}
			one := &counting{result: d.Instructions, tool: tool, ns: max(d.BaseNS.Value, d.HeadNS.Value), count: p.countSubject, use: p.useOfSubject,
				order: func(side int) benchOrder {
					return benchOrder{side: BenchSide{Revision: []string{d.Base, d.Head}[side]}}
				}}
			one.prepare()
			c.all = append(c.all, one)
		}
	}
	return c
}

// more counts each difference once more, and reports whether anything was counted.
func (c *subjectCounts) more(ctx context.Context, judged bool) (did bool) {
	for _, one := range c.all {
		if one.possible() && ctx.Err() == nil && (judged || len(one.result.Base) < enoughCounts) {
			one.more(ctx)
			did = true
		}
	}
	return did
}

// subjectOrder returns the order for a process that is counted.
func (p ComparePlan) subjectOrder(o benchOrder) (order compareOrder, err error) {
	c := &subjectCount{Subject: o.side.Revision}
	if o.pattern == "" { // else no operation at all
		if _, err := fmt.Sscanf(o.times, "%dx", &c.Ops); err != nil {
			return order, fmt.Errorf("operations %q: %w", o.times, err)
		}
	}
	return compareOrder{Name: p.Name, Seed: p.Seed, Count: c}, nil
}

// subjectProcess prepares a process that is counted, or whose use is looked at.
func (p ComparePlan) subjectProcess(ctx context.Context, o benchOrder, do func(compareProcess) error) error {
	order, err := p.subjectOrder(o)
	if err != nil {
		return err
	}
	return p.inProcess(ctx, order, func(c compareProcess) error {
		c.cmd.Env = append(c.cmd.Env, o.env...)
		return do(c)
	})
}

// countSubject counts the instructions of a process.
func (p ComparePlan) countSubject(ctx context.Context, o benchOrder) (n float64, err error) {
	err = p.subjectProcess(ctx, o, func(c compareProcess) error {
		record := filepath.Join(c.dir, "record")
		o.tool.Wrap(c.cmd, record)
		res, err := c.result(child.CombinedOutput(c.cmd))
		if err == nil && res.Problem != "" {
			err = errors.New(res.Problem)
		}
		if err == nil {
			n, err = o.tool.Read(record)
		}
		return err
	})
	return n, err
}

// useOfSubject returns how a process used its time.
func (p ComparePlan) useOfSubject(ctx context.Context, o benchOrder) (u use, known bool) {
	err := p.subjectProcess(ctx, o, func(c compareProcess) error {
		child.Group(c.cmd)
		c.cmd.WaitDelay = leaveToEnd
		u, known = useOfProcess(c.cmd)
		return nil
	})
	return u, known && err == nil
}
