// Package probe is how package postgresbench looks into a backend of package postgres, so that
// programs that only save do not carry what measures.
package probe

import "github.com/jackc/pgx/v5/pgxpool"

// Probe is what a backend is opened with in addition. The zero value changes nothing.
type Probe struct {
	Config func(*pgxpool.Config) // changes the configuration of the connections; nil: leaves it
}
