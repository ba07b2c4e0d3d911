package sqlitebench

import (
	"context"
	"fmt"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
)

// Backend lets package harness measure package sqlite.
type Backend struct{}

var _ corebench.Backend = Backend{}

// Name implements [corebench.Backend].
func (Backend) Name() string { return "sqlite" }

// Levels implements [corebench.Backend].
func (Backend) Levels() []corebench.Level {
	return []corebench.Level{
		{Durability: corebench.Unsynced, Category: "SQLite persistence", Adds: "N+2 transactions that are left to the operating system", Local: true},
		{Durability: string(sqlite.Process), Category: "transaction handling", Adds: "what it takes to survive kill -9 (synchronous=NORMAL)", Local: true},
		{Durability: string(sqlite.Power), Category: "durable commits", Adds: "what it takes to survive the loss of power (synchronous=FULL)", Waits: true, Local: true},
	}
}

// About implements [corebench.Backend]. It is "", because SQLite is part of the program.
func (Backend) About(context.Context) (string, error) { return "", nil }

// store is an open backend that implements [corebench.Store].
type store struct{ *sqlite.Backend }

// Durability implements [corebench.Store].
func (s store) Durability() (string, error) {
	d, err := s.Backend.Durability()
	return string(d), err
}

// Open implements [corebench.Backend].
func (Backend) Open(ctx context.Context, place, durability string) (corebench.Store, error) {
	b, err := sqlite.OpenProbed(ctx, place, sqlite.Durability(durability), probe.Probe{})
	if err != nil {
		return nil, err
	}
	return store{b}, nil
}

// OpenRecorder implements [corebench.Backend].
func (Backend) OpenRecorder(ctx context.Context, place, durability string) (corebench.Recorder, error) {
	r, err := OpenRecorder(ctx, place, sqlite.Durability(durability))
	if err != nil {
		return nil, err
	}
	return r, nil
}

// OpenFloor implements [corebench.Backend].
func (Backend) OpenFloor(ctx context.Context, place, durability string, rec corebench.Recording) (corebench.Floor, error) {
	mine, ok := rec.(*Recording)
	if !ok {
		return nil, fmt.Errorf("replay a recording of type %T: it belongs to another backend", rec)
	}
	f, err := OpenFloor(ctx, place, sqlite.Durability(durability), mine)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Count implements [corebench.Backend].
func (Backend) Count(ctx context.Context, place string) (corebench.RowCounts, error) {
	return CountRows(ctx, place)
}
