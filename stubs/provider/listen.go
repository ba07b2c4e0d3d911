package provider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Listener serves a [Server] on a free port of the loopback interface.
type Listener struct {
	server *Server
	http   *http.Server
	base   string

	mu     sync.Mutex
	next   int
	scopes map[string]context.Context // by the first element of the path
}

// Listen serves s on a free port of the loopback interface until the listener is closed.
func (s *Server) Listen() (*Listener, error) {
	sock, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if sock, err = net.Listen("tcp", "[::1]:0"); err != nil {
			return nil, fmt.Errorf("listen for a scripted provider: %w", err)
		}
	}
	l := &Listener{server: s, base: "http://" + sock.Addr().String(), scopes: map[string]context.Context{}}
	l.http = &http.Server{Handler: l, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = l.http.Serve(sock) }() // returns when the listener is closed
	return l, nil
}

// URL returns a base URL for the clients of one scope: requests to it are answered in the scope of
// ctx until ctx is done. For the SDKs of OpenAI, append "/v1".
func (l *Listener) URL(ctx context.Context) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	name := fmt.Sprintf("scope-%d", l.next)
	l.scopes[name] = ctx
	context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.scopes, name)
	})
	return l.base + "/" + name
}

// ServeHTTP implements http.Handler.
func (l *Listener) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	l.mu.Lock()
	ctx, ok := l.scopes[name]
	l.mu.Unlock()
	if !ok || ctx.Err() != nil {
		http.Error(w, "unknown scope: use a URL returned by Listener.URL before its context is done", http.StatusNotFound)
		return
	}
	inner := req.Clone(req.Context())
	inner.URL.Path, inner.URL.RawPath = "/"+rest, ""
	l.server.Within(ctx).ServeHTTP(w, inner)
}

// Close closes the listener and its connections.
func (l *Listener) Close() error {
	if err := l.http.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("close a scripted provider: %w", err)
	}
	return nil
}
