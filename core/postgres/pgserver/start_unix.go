//go:build unix

package pgserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const supported = true

// startTimeout limits the time until a server accepts connections or has stopped.
const startTimeout = 2 * time.Minute

// process is the postmaster process.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed after the process was waited for

	mu  sync.Mutex
	log []string // the last lines
}

// home is the parent directory of all servers of this process.
type home struct {
	dir, bin string
	cred     *syscall.Credential // nil means the user of this process
	servers  int
	alive    io.Closer // open for the life of this process; it must stay referenced
}

// prepare creates the directory and a template of the data, once per process.
var prepare = sync.OnceValues(func() (h *home, err error) {
	h = &home{}
	if h.bin, err = programs(); err != nil {
		return nil, err
	}
	if h.dir, err = os.MkdirTemp("", "flujo-postgres-"); err != nil {
		return nil, err
	}
	if err := h.watch(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(h.dir))
	}
	// PostgreSQL refuses to run as root.
	if os.Getuid() == 0 {
		if h.cred, err = unprivileged(); err != nil {
			return nil, err
		}
		if err := os.Chown(h.dir, int(h.cred.Uid), int(h.cred.Gid)); err != nil {
			return nil, err
		}
	}
	return h, h.run("initdb", "-D", h.template(), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N")
})

var starting sync.Mutex // guards home.servers

func (h *home) template() string { return filepath.Join(h.dir, "template") }

// unprivileged returns the user for the servers if this process runs as root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// watch starts a process that waits for the end of this one, for any reason. It then ends the
// servers whose data is in the directory, and removes the directory.
func (h *home) watch() error {
	const script = `cat >/dev/null
for f in "$0"/*/data/postmaster.pid; do [ -f "$f" ] && kill -QUIT "$(head -n 1 "$f")" 2>/dev/null; done
n=0
while [ $n -lt 100 ] && ls "$0"/*/data/postmaster.pid >/dev/null 2>&1; do sleep 0.1; n=$((n+1)); done
rm -rf "$0"`
	cmd := exec.Command("sh", "-c", script, h.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that Ctrl-C does not reach it
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	h.alive = in
	return cmd.Start()
}

// command returns a command that runs one of PostgreSQL's programs as the user of the servers.
func (h *home) command(name string, args ...string) *exec.Cmd {
	if !strings.Contains(name, "/") {
		name = filepath.Join(h.bin, name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: h.cred, Setpgid: true}
	return cmd
}

func (h *home) run(name string, args ...string) error {
	if out, err := h.command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// Start starts a server with an empty cluster.
func Start(opts Options) (*Server, error) {
	h, err := prepare()
	if err != nil {
		return nil, err
	}
	s, err := h.server(opts)
	if err != nil {
		return nil, err
	}
	if err := h.run("/bin/cp", "-a", h.template(), s.data()); err != nil {
		return nil, err
	}
	return s, s.configure(h)
}

// server creates the directory of a server.
func (h *home) server(opts Options) (*Server, error) {
	starting.Lock()
	h.servers++
	s := &Server{dir: filepath.Join(h.dir, fmt.Sprint("s", h.servers)), port: 5432, opts: opts}
	starting.Unlock()
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	return s, h.own(s.dir)
}

// own makes the user of the servers the owner of a file.
func (h *home) own(path string) error {
	if h.cred == nil {
		return nil
	}
	return os.Chown(path, int(h.cred.Uid), int(h.cred.Gid))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// configure writes the additional files and starts the server.
func (s *Server) configure(h *home) error {
	files := map[string][]byte{}
	for name, text := range s.opts.Files {
		files[name] = text
	}
	if s.opts.HBA != "" {
		files["pg_hba.conf"] = []byte(s.opts.HBA)
	}
	for name, text := range files {
		path := filepath.Join(s.data(), name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
		if err := errors.Join(os.Chmod(path, 0o600), h.own(path)); err != nil {
			return err
		}
	}
	if s.opts.TCP {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.port = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return err
		}
	}
	return s.Restart()
}

// Restart starts the server again after [Server.Stop] or [Server.Kill], and returns when it accepts
// connections.
func (s *Server) Restart() error {
	h, err := prepare()
	if err != nil {
		return err
	}
	listen := ""
	if s.opts.TCP {
		listen = "127.0.0.1"
	}
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port)}
	settings := map[string]string{"listen_addresses": listen, "unix_socket_directories": s.dir, "shared_buffers": "16MB", "max_connections": "60"}
	for name, value := range s.opts.Settings {
		settings[name] = value
	}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	cmd := h.command("postgres", args...)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stderr = w
	err = cmd.Start()
	if err := errors.Join(err, w.Close()); err != nil {
		return errors.Join(err, r.Close())
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	s.proc = p
	ready := make(chan struct{})
	go p.read(r, ready)
	go func() {
		_ = cmd.Wait() // it is not an error if a signal ended the server
		close(p.ended)
	}()
	select {
	case <-ready:
		return nil
	case <-p.ended:
	case <-time.After(startTimeout):
	}
	return errors.Join(fmt.Errorf("the server in %s does not start:\n%s", s.dir, p.lines()), s.Kill())
}

// read keeps the last lines of the log, and closes ready when connections are accepted.
func (p *process) read(r *os.File, ready chan struct{}) {
	defer r.Close()
	told := false
	for in := bufio.NewScanner(r); in.Scan(); {
		p.mu.Lock()
		if p.log = append(p.log, in.Text()); len(p.log) > 50 {
			p.log = p.log[1:]
		}
		p.mu.Unlock()
		if !told && strings.Contains(in.Text(), "database system is ready to accept") {
			told = true
			close(ready)
		}
	}
}

func (p *process) lines() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// Ended returns a channel that is closed when the server has ended, for any reason.
func (s *Server) Ended() <-chan struct{} { return s.proc.ended }

// Log returns the last lines that the server wrote.
func (s *Server) Log() string { return s.proc.lines() }

// Stop stops the server without waiting for its clients ("fast shutdown"). The data is kept until
// the process ends. If the server has already ended, Stop returns nil.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

// end sends a signal to the postmaster and waits for it to end.
func (s *Server) end(signal syscall.Signal) error {
	p := s.proc
	select {
	case <-p.ended:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(startTimeout):
		return fmt.Errorf("the server in %s does not stop:\n%s", s.dir, p.lines())
	}
}

// Kill kills all processes of the server with SIGKILL, like a crash of the server. Without /proc it
// kills only the postmaster; its children end soon after.
func (s *Server) Kill() error {
	p := s.proc
	select {
	case <-p.ended:
		return nil
	default:
	}
	pid := p.cmd.Process.Pid
	// Stop the postmaster first, so that it starts no child after they are listed.
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	killed := children(pid)
	for _, child := range killed {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	// The next server does not start while one of them still has the shared memory, which can take
	// a while on a busy machine.
	for began := time.Now(); slices.ContainsFunc(killed, alive) && time.Since(began) < startTimeout; {
		time.Sleep(time.Millisecond)
	}
	// No process uses the data any more.
	err := os.Remove(filepath.Join(s.data(), "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// alive reports whether a process has not ended. A zombie counts as ended.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	return len(fields) > 0 && string(fields[0]) != "Z" && string(fields[0]) != "X"
}

// children returns the processes that a process has started.
func children(parent int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// The format is "pid (name) state ppid". The name may contain anything.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) > 1 && string(fields[1]) == strconv.Itoa(parent) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// Standby starts a second server that follows this one by streaming replication.
func (s *Server) Standby() (*Server, error) {
	h, err := prepare()
	if err != nil {
		return nil, err
	}
	t, err := h.server(s.opts)
	if err != nil {
		return nil, err
	}
	if err := h.run("pg_basebackup", "-h", s.dir, "-p", strconv.Itoa(s.port), "-U", "postgres", "-D", t.data(), "-R", "-c", "fast", "-X", "stream"); err != nil {
		return nil, err
	}
	return t, t.configure(h)
}

// Promote turns a standby into a primary, and returns when that is done.
func (s *Server) Promote() error {
	h, err := prepare()
	if err != nil {
		return err
	}
	return h.run("pg_ctl", "promote", "-D", s.data(), "-w")
}

// Run starts another program, such as PgBouncer, as the user of the servers, in their directory.
// Like PostgreSQL, PgBouncer does not run as root. The program is killed when the test ends.
func (s *Server) Run(t TB, program string, args ...string) {
	t.Helper()
	h, err := prepare()
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.command(program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
}

// WriteFile writes a file next to the server's socket, owned by the user of the servers.
func (s *Server) WriteFile(name, text string) (path string, err error) {
	h, err := prepare()
	if err != nil {
		return "", err
	}
	path = filepath.Join(s.dir, name)
	return path, errors.Join(os.WriteFile(path, []byte(text), 0o600), h.own(path))
}
