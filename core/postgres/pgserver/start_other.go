//go:build !unix

package pgserver

const supported = false

type process struct{}

// Start fails here.
func Start(Options) (*Server, error) { return nil, ErrMissing }

// Stop does nothing here.
func (s *Server) Stop() error { return nil }

// Kill fails here.
func (s *Server) Kill() error { return ErrMissing }

// Restart fails here.
func (s *Server) Restart() error { return ErrMissing }

// Standby fails here.
func (s *Server) Standby() (*Server, error) { return nil, ErrMissing }

// Promote fails here.
func (s *Server) Promote() error { return ErrMissing }

// Ended is nil here.
func (s *Server) Ended() <-chan struct{} { return nil }

// Log is empty here.
func (s *Server) Log() string { return "" }

// Run fails here.
func (s *Server) Run(t TB, program string, args ...string) { t.Fatal(ErrMissing) }

// WriteFile fails here.
func (s *Server) WriteFile(name, text string) (path string, err error) { return "", ErrMissing }
