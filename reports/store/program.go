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

// A store may be in a program of its own, as buckets are, whose libraries are larger than the rest
// of this one. It speaks net/rpc on its standard input and output: [ServeProgram] is its main
// function, and [Open] starts it.

// bucketsProgram is the program for buckets, and the package that it is of.
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

// openBuckets starts the program for buckets, which is next to this one or in PATH.
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

// Program is a store in another process. It is a [Many]: it has several calls under way at once.
type Program struct {
	client *rpc.Client
	wait   func() error
	said   *tail
}

// Protocol is the version of the calls.
const Protocol = 1

// OpenProgram starts a program that calls [ServeProgram], and opens an address in it. The address
// is not in its command line, where others could read it.
func OpenProgram(ctx context.Context, cmd *exec.Cmd, address string) (*Program, error) {
	p := &Program{said: &tail{}}
	cmd.Stderr = p.said
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
	if err := p.call(ctx, "Open", Call{Address: address, Protocol: Protocol}, &answer); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// pipes are the two ends of a connection to another process.
type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipes) Close() error { return errors.Join(p.WriteCloser.Close(), p.ReadCloser.Close()) }

// tail keeps the last of what a program writes to standard error.
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

// Call is the question of a call.
type Call struct {
	Address  string
	Protocol int
	Names    []string
	Content  []byte
}

// Answer is the answer of a call. Its error is a text; what must be told apart is a field.
type Answer struct {
	Known   bool
	Missing bool   // there is no such object
	Bad     string // why an object must not be used
	Names   []string
	Content []byte
}

func (p *Program) call(ctx context.Context, method string, c Call, answer *Answer) error {
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
		// All that is no answer is the connection: a program that has ended shows as the end of a
		// file, as a pipe that is closed or broken, or as a client that has shut down.
		if _, answered := errors.AsType[rpc.ServerError](err); !answered {
			err = fmt.Errorf("the program %s ended: %s", bucketsProgram, cmp.Or(p.said.String(), "it said nothing"))
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

// Close ends the program.
func (p *Program) Close() error {
	err := p.client.Close() // it ends at the end of its input
	return errors.Join(err, p.wait())
}

// Put keeps one object.
func (p *Program) Put(ctx context.Context, name string, object []byte) (known bool, err error) {
	if err := CheckName(name); err != nil {
		return false, err
	}
	var answer Answer
	err = p.call(ctx, "Put", Call{Names: []string{name}, Content: object}, &answer)
	return answer.Known, err
}

// Get returns one object.
func (p *Program) Get(ctx context.Context, name string) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	var answer Answer
	err := p.call(ctx, "Get", Call{Names: []string{name}}, &answer)
	return answer.Content, err
}

// List asks for all names.
func (p *Program) List(ctx context.Context) iter.Seq2[string, error] {
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

// Delete deletes objects.
func (p *Program) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := CheckName(name); err != nil {
			return err
		}
	}
	return p.call(ctx, "Delete", Call{Names: names}, new(Answer))
}

// programCalls is how many calls are under way at once.
const programCalls = 8

// PutAll puts several objects at once.
func (p *Program) PutAll(ctx context.Context, objects []Object) (created []string, err error) {
	known, errs := make([]bool, len(objects)), make([]error, len(objects))
	atOnceEach(len(objects), func(i int) { known[i], errs[i] = p.Put(ctx, objects[i].Name, objects[i].Content) })
	for i, o := range objects {
		if errs[i] == nil && !known[i] {
			created = append(created, o.Name)
		}
	}
	return created, errors.Join(errs...)
}

// GetAll gets several objects at once, a few of which are in memory.
func (p *Program) GetAll(ctx context.Context, names []string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for len(names) > 0 {
			some := names[:min(len(names), programCalls)]
			names = names[len(some):]
			objects, errs := make([]Object, len(some)), make([]error, len(some))
			atOnceEach(len(some), func(i int) {
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

// atOnceEach calls do with the numbers from 0 to n-1, a few at once.
func atOnceEach(n int, do func(int)) {
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

// ServeProgram answers the calls of [OpenProgram] until its input ends. open opens the store.
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

// served has the methods that are called from another process.
type served struct {
	ctx   context.Context
	open  Opener
	store Store
}

// Open opens the store: the first call.
func (s *served) Open(c Call, _ *Answer) (err error) {
	if c.Protocol != Protocol {
		return fmt.Errorf("%s speaks protocol %d, and flujo-harness %d: install both of one version", bucketsProgram, Protocol, c.Protocol)
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

// Put is [Store.Put].
func (s *served) Put(c Call, a *Answer) (err error) {
	a.Known, err = s.store.Put(s.ctx, c.Names[0], c.Content)
	return a.fill(err)
}

// Get is [Store.Get].
func (s *served) Get(c Call, a *Answer) (err error) {
	a.Content, err = s.store.Get(s.ctx, c.Names[0])
	return a.fill(err)
}

// List is [Store.List].
func (s *served) List(_ Call, a *Answer) error {
	for name, err := range s.store.List(s.ctx) {
		if err != nil {
			return err
		}
		a.Names = append(a.Names, name)
	}
	return nil
}

// Delete is [Store.Delete].
func (s *served) Delete(c Call, a *Answer) error { return a.fill(s.store.Delete(s.ctx, c.Names...)) }
