//go:build !unix

package pgserver

const supported = false

type process struct{}

// Start returns an error on this system.
func Start(Options) (*Server, error) { return nil, ErrMissing }

// Stop does nothing on this system.
func (s *Server) Stop() error { return nil }

// Kill returns an error on this system.
func (s *Server) Kill() error { return ErrMissing }

// Restart returns an error on this system.
func (s *Server) Restart() error { return ErrMissing }

// Standby returns an error on this system.
func (s *Server) Standby() (*Server, error) { return nil, ErrMissing }

// Promote returns an error on this system.
func (s *Server) Promote() error { return ErrMissing }

// Ended returns nil on this system.
func (s *Server) Ended() <-chan struct{} { return nil }

// Log returns "" on this system.
func (s *Server) Log() string { return "" }

// Run fails the test on this system.
func (s *Server) Run(t TB, program string, args ...string) { t.Fatal(ErrMissing) }

// WriteFile returns an error on this system.
func (s *Server) WriteFile(name, text string) (path string, err error) { return "", ErrMissing }
