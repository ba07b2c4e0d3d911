package postgres

import (
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// harm is what a [proxy] does to a message.
type harm int

const (
	none       harm = iota
	noAnswer        // the request arrives, but its answer is lost with the connection
	noRequest       // the request is lost with the connection
	late            // the connection is lost, and the request arrives afterwards
	silence         // from now on nothing arrives and nothing is closed
	noDelivery      // from now on no answer arrives and nothing is closed
)

// proxy is a faulty network between a backend and its server. A message is everything that one side
// sends before the other side sends.
type proxy struct {
	t  testing.TB
	l  net.Listener
	to string

	mu        sync.Mutex
	next      harm
	countdown int  // requests until the harm is done
	done      bool // whether the harm was done
	silent    harm // silence or noDelivery, after it has begun
	links     []*link
	held      chan struct{} // closed to let a late request through
	delivered chan struct{} // closed after the request has arrived
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	asked          bool          // the client has sent something since the server did
	doomed         bool          // the next answer is lost
	held           chan struct{} // not nil if its request arrives late
}

func newProxy(t testing.TB, socket string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, l: l, to: socket}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", p.to)
			if err != nil {
				_ = client.Close()
				continue
			}
			k := &link{client: client, server: server}
			p.mu.Lock()
			p.links = append(p.links, k)
			p.mu.Unlock()
			running.Go(func() { p.copy(k, client, server, true) })
			running.Go(func() { p.copy(k, server, client, false) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		running.Wait()
	})
	return p
}

// dsn returns an address that leads through the proxy.
func (p *proxy) dsn(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		p.t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", "127.0.0.1")
	q.Set("port", fmt.Sprint(p.l.Addr().(*net.TCPAddr).Port))
	u.RawQuery = q.Encode()
	return u.String()
}

// arm harms the nth request from now on, counted from 1.
func (p *proxy) arm(h harm, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.countdown, p.done = h, n, false
	p.held, p.delivered = make(chan struct{}), make(chan struct{})
}

// deliver lets a late request through and returns when it has arrived.
func (p *proxy) deliver() {
	close(p.held)
	<-p.delivered
}

// disarm reports whether the harm was done.
func (p *proxy) disarm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = none
	return p.done
}

// cut closes all connections and ends a silence.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = none
	for _, k := range p.links {
		_ = k.client.Close()
		_ = k.server.Close()
	}
	p.links = nil
}

func (p *proxy) copy(k *link, from, to net.Conn, request bool) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			if !p.late(k) { // otherwise the late request closes it
				_ = to.Close()
			}
			return
		}
		switch p.judge(k, request) {
		case none:
			if _, err := to.Write(buf[:n]); err != nil {
				_ = from.Close()
				return
			}
		case silence:
		case late:
			// If the request has several pieces, this is the first one. The others come from the
			// client's buffer, which is empty by then.
			_ = k.client.Close()
			<-k.held
			_, _ = k.server.Write(buf[:n])
			_, _ = k.server.Read(buf) // the answer
			_ = k.server.Close()
			close(p.delivered)
			return
		default:
			_ = k.client.Close()
			_ = k.server.Close()
			return
		}
	}
}

func (p *proxy) late(k *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return k.held != nil
}

// judge decides what happens to a message.
func (p *proxy) judge(k *link, request bool) harm {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.silent == silence, p.silent == noDelivery && !request:
		return silence
	case !request:
		k.asked = false
		if k.doomed {
			return noAnswer
		}
		return none
	case k.asked: // a further piece of the request
		return none
	}
	k.asked = true
	if p.next == none {
		return none
	}
	if p.countdown--; p.countdown != 0 {
		return none
	}
	h := p.next
	p.next, p.done = none, true
	switch h {
	case noAnswer:
		k.doomed = true
		return none
	case noDelivery:
		p.silent = h
		return none
	case silence:
		p.silent = h
	case late:
		k.held = p.held
	}
	return h
}

// throughProxy opens a new schema twice: through a proxy, with a single connection so that the
// order of messages is known, and without the proxy.
func throughProxy(t testing.TB) (p *proxy, b, straight *Backend) {
	t.Helper()
	pgserver.Need(t)
	straight = mustOpen(t, Server)
	config := straight.server.config.ConnConfig
	p = newProxy(t, fmt.Sprintf("%s/.s.PGSQL.%d", config.Host, config.Port))
	dsn := inSchema(p.dsn(config.ConnString()), straight.server.schema)
	s, err := parse(dsn+"&pool_max_conns=1", Server, false)
	if err != nil {
		t.Fatal(err)
	}
	// A connection that was lost during a transaction keeps its row locks for this time.
	s.lockWait, s.idle = 50*time.Millisecond, 100*time.Millisecond
	pool, err := s.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b = newBackend(s, pool)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, b, straight
}
