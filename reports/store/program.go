package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/flujo/flujo-harness/harness/child"
)

// A store can run in a separate program. Buckets do, because their libraries are larger than the
// rest of flujo-harness. [Open] starts the program, which calls [ServeProgram] in main; the two
// use net/rpc over standard input and output.

// bucketsProgram is the name of the program for buckets, bucketsPackage its package.
const (
	bucketsProgram = "flujo-harness-buckets"
	bucketsPackage = "github.com/flujo/flujo-harness/cmd/" + bucketsProgram
)

func init() {
	for _, scheme := range []string{"s3", "gs", "azblob"} {
		openers[scheme] = openBuckets
	}
	usage = append(usage, "s3://BUCKET")
}

// openBuckets starts the program for buckets, which is in PATH or next to this program.
func openBuckets(ctx context.Context, address string, _ Options) (Store, error) {
	path, err := exec.LookPath(bucketsProgram)
	if self, selfErr := os.Executable(); err != nil && selfErr == nil {
		path, err = exec.LookPath(filepath.Join(filepath.Dir(self), bucketsProgram))
	}
	if err != nil {
		return nil, &AddressError{fmt.Errorf("buckets need the program %s, which is not in PATH: go install %s@latest", bucketsProgram, bucketsPackage)}
	}
	return OpenProgram(ctx, exec.Command(path), address)
}

// program is a store in another process. It is a [Many] that makes several calls concurrently.
type program struct {
	client *rpc.Client
	wait   func() error
	stderr *tail
}

// protocol is the version of the calls. Both programs must have the same.
const protocol = 1

// OpenProgram starts a program that calls [ServeProgram] in main and opens an address in it. The address
// is sent in a call, since other users could read it in a command line.
func OpenProgram(ctx context.Context, cmd *exec.Cmd, address string) (Many, error) {
	p := &program{stderr: &tail{}}
	cmd.Stderr = p.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.wait, err = child.Start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p.client = rpc.NewClient(pipes{out, in})
	var answer Answer
	if err := p.call(ctx, "Open", Call{Address: address, Protocol: protocol}, &answer); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// pipes is a connection to another process.
type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipes) Close() error { return errors.Join(p.WriteCloser.Close(), p.ReadCloser.Close()) }

// tail keeps the last 4 KiB that a program writes to standard error.
type tail struct {
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, b...)
	t.last = t.last[max(0, len(t.last)-4096):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.last))
}

// Call is the request of a call. It is exported only because net/rpc requires it.
type Call struct {
	Address  string
	Protocol int
	Names    []string
	Content  []byte
}

// Answer is the response of a call. It is exported only because net/rpc requires it. net/rpc
// transmits errors as text, so the fields Missing and Bad identify errors that callers must
// distinguish.
type Answer struct {
	Known   bool
	Missing bool   // the object does not exist
	Bad     string // why the object is invalid
	Names   []string
	Content []byte
}

func (p *program) call(ctx context.Context, method string, c Call, answer *Answer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := p.client.Go("Store."+method, c, answer, make(chan *rpc.Call, 1))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-done.Done:
	}
	if err := done.Error; err != nil {
		// Errors of other types are errors of the connection. If the program has ended, they are
		// io.EOF, a closed or broken pipe, or rpc.ErrShutdown.
		if _, answered := errors.AsType[rpc.ServerError](err); !answered {
			err = fmt.Errorf("the program %s ended: %s", bucketsProgram, cmp.Or(p.stderr.String(), "without a message"))
		}
		return err
	}
	switch name := strings.Join(c.Names, " "); {
	case answer.Missing:
		return fmt.Errorf("object %s: %w", name, fs.ErrNotExist)
	case answer.Bad != "":
		return &ObjectError{name, errors.New(answer.Bad)}
	}
	return nil
}

// Close implements [Store]. It ends the program.
func (p *program) Close() error {
	err := p.client.Close() // the program ends at the end of its input
	return errors.Join(err, p.wait())
}

// Put implements [Store].
func (p *program) Put(ctx context.Context, name string, object []byte) (known bool, err error) {
	if err := CheckName(name); err != nil {
		return false, err
	}
	var answer Answer
	err = p.call(ctx, "Put", Call{Names: []string{name}, Content: object}, &answer)
	return answer.Known, err
}

// Get implements [Store].
func (p *program) Get(ctx context.Context, name string) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	var answer Answer
	err := p.call(ctx, "Get", Call{Names: []string{name}}, &answer)
	return answer.Content, err
}

// List implements [Store].
func (p *program) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var answer Answer
		if err := p.call(ctx, "List", Call{}, &answer); err != nil {
			yield("", err)
			return
		}
		for _, name := range answer.Names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// Delete implements [Store].
func (p *program) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := CheckName(name); err != nil {
			return err
		}
	}
	return p.call(ctx, "Delete", Call{Names: names}, new(Answer))
}

// programCalls is the maximum number of concurrent calls.
const programCalls = 8

// PutAll implements [Many].
func (p *program) PutAll(ctx context.Context, objects []Object) (created []string, err error) {
	known, errs := make([]bool, len(objects)), make([]error, len(objects))
	concurrently(len(objects), func(i int) { known[i], errs[i] = p.Put(ctx, objects[i].Name, objects[i].Content) })
	for i, o := range objects {
		if errs[i] == nil && !known[i] {
			created = append(created, o.Name)
		}
	}
	return created, errors.Join(errs...)
}

// GetAll implements [Many]. At most programCalls objects are in memory.
func (p *program) GetAll(ctx context.Context, names []string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for len(names) > 0 {
			some := names[:min(len(names), programCalls)]
			names = names[len(some):]
			objects, errs := make([]Object, len(some)), make([]error, len(some))
			concurrently(len(some), func(i int) {
				objects[i].Name = some[i]
				objects[i].Content, errs[i] = p.Get(ctx, some[i])
			})
			for i, o := range objects {
				if !errors.Is(errs[i], fs.ErrNotExist) && !yield(o, errs[i]) {
					return
				}
			}
		}
	}
}

// concurrently calls do with the numbers from 0 to n-1, at most programCalls at a time.
func concurrently(n int, do func(int)) {
	var wait sync.WaitGroup
	free := make(chan struct{}, programCalls)
	for i := range n {
		free <- struct{}{}
		wait.Go(func() {
			defer func() { <-free }()
			do(i)
		})
	}
	wait.Wait()
}

// ServeProgram is the main function of a program with a store. It answers calls on in and out
// until in ends. open opens the store.
func ServeProgram(ctx context.Context, in io.ReadCloser, out io.WriteCloser, open Opener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &served{ctx: ctx, open: open}
	server := rpc.NewServer()
	if err := server.RegisterName("Store", s); err != nil {
		return err
	}
	server.ServeConn(pipes{in, out})
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}

// served has the methods that can be called from the other process.
type served struct {
	ctx   context.Context
	open  Opener
	store Store
}

// Open opens the store. It must be the first call.
func (s *served) Open(c Call, _ *Answer) (err error) {
	if c.Protocol != protocol {
		return fmt.Errorf("%s uses protocol %d, flujo-harness uses %d: install the same version of both", bucketsProgram, protocol, c.Protocol)
	}
	s.store, err = s.open(s.ctx, c.Address, Options{})
	return hide(err, secretsOf(c.Address))
}

func (a *Answer) fill(err error) error {
	bad := new(ObjectError)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.Missing = true
	case errors.As(err, &bad):
		a.Bad = bad.Err.Error()
	default:
		return err
	}
	return nil
}

// Put calls [Store.Put].
func (s *served) Put(c Call, a *Answer) (err error) {
	a.Known, err = s.store.Put(s.ctx, c.Names[0], c.Content)
	return a.fill(err)
}

// Get calls [Store.Get].
func (s *served) Get(c Call, a *Answer) (err error) {
	a.Content, err = s.store.Get(s.ctx, c.Names[0])
	return a.fill(err)
}

// List calls [Store.List].
func (s *served) List(_ Call, a *Answer) error {
	for name, err := range s.store.List(s.ctx) {
		if err != nil {
			return err
		}
		a.Names = append(a.Names, name)
	}
	return nil
}

// Delete calls [Store.Delete].
func (s *served) Delete(c Call, a *Answer) error { return a.fill(s.store.Delete(s.ctx, c.Names...)) }
