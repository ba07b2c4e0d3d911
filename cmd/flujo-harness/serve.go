package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/live"
	"github.com/flujo/flujo-harness/reports/render"
)

func serveCommand() *cobra.Command {
	var db, token string
	var look records.AnalysisFlags
	var shared records.StoreFlags
	var port int
	var open bool
	var repositories []string
	cmd := &cobra.Command{
		Use: "serve", Args: cobra.NoArgs,
		Short: "Show the report on this machine, live as runs arrive",
		Example: `  flujo-harness serve
  flujo-harness serve --repository shop=git:git@example.com:us/shop.git --repository pay=file:///mnt/pay`,
		Long: `Serves the page of the newest run in the history on 127.0.0.1, and reloads it in the browser when a
run is added. A run of this module that is in progress is shown as its specs end; one whose process
died is shown as cut off. serve prints the address with a token, which the browser then keeps.
Requests with another host name, without the token, or with a method other than GET are refused.

"?run=N" and /run/DIGEST show another run, /compare?a=A&b=B compares two runs, /spec/ID shows a spec
of the newest run, and /file/RUN/PATH a file that is attached to a run. --open opens the browser.
Ctrl-C ends serve. With --store the runs of other machines are fetched every half minute.

With --repository several repositories are shown, each from a store of its own: / has a row for
each, with the newest run and the jobs of its commit, and /NAME/ has the pages above.

Exit codes: 0 it was stopped; 2 usage error; 3 the history is damaged, or the port is in use.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if port < 0 || port > 65535 {
				return cli.Usage(fmt.Errorf("--port %d: 0 to 65535", port))
			}
			if cmd.Flags().Changed("token") && len(token) < 16 {
				return cli.Usage(errors.New("--token: give 16 characters or more, or leave it out"))
			}
			if token == "" {
				token = rand.Text()
			}
			p, err := project.Find()
			if err != nil {
				return cli.Fault(err)
			}
			if len(repositories) > 0 && (db != "" || cmd.Flags().Changed("store")) {
				return cli.Usage(errors.New("--repository and one of --db and --store: each repository has a store of its own: leave out --db and --store"))
			}
			options, err := look.Options(p)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				return cli.Fault(fmt.Errorf("%w: name another --port, or 0 for any that is free", err))
			}
			defer listener.Close()
			at := listener.Addr().(*net.TCPAddr).Port
			door := &render.Live{Token: token, Every: time.Second, Hosts: []string{fmt.Sprintf("127.0.0.1:%d", at), fmt.Sprintf("localhost:%d", at)}}
			var handler http.Handler = door
			if len(repositories) > 0 {
				all, closeAll, err := openRepositories(ctx, p, repositories, look, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				defer closeAll()
				handler = &render.Repositories{Door: door, All: all}
			} else {
				history, store, err := shared.OpenShared(ctx, p, p.History(db))
				if err != nil {
					return err
				}
				defer history.Close()
				defer store.KeepPulling(ctx, 30*time.Second, cmd.ErrOrStderr())()
				show(door, history, look, options)
				door.Runs = func() []live.Following {
					return live.Follow(filepath.Join(p.Root, ".flujo"), records.HistoryPath(p, db))
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "http://127.0.0.1:%d/?token=%s\n", at, token)
			if open {
				door.Once = rand.Text() // other users can see the arguments of a browser
				if err := openBrowser(ctx, fmt.Sprintf("http://127.0.0.1:%d/?token=%s", at, door.Once)); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "note: no browser was opened: %v: use the address above\n", err)
				}
			}
			return serve(ctx, listener, handler, log.New(cmd.ErrOrStderr(), "flujo-harness: ", 0))
		},
	}
	cmd.Flags().StringVar(&db, "db", "", "history database (default .flujo/history.db of the module)")
	cmd.Flags().IntVar(&port, "port", 0, "port on 127.0.0.1 (0: any that is free)")
	cmd.Flags().StringVar(&token, "token", "", "token that requests must know (default one made up)")
	cmd.Flags().BoolVar(&open, "open", false, "open the page in the browser")
	cmd.Flags().StringArrayVar(&repositories, "repository", nil, "show this repository, NAME=STORE, below /NAME/; may be given several times; NAME alone takes the store from FLUJO_STORE_NAME")
	look.Register(cmd)
	shared.Register(cmd)
	return cmd
}

// show connects a server to a history.
func show(l *render.Live, h *history.History, look records.AnalysisFlags, options analysis.Options) {
	l.Find = h.Find
	l.Analyze = func(ctx context.Context, run int64, against string) (*analysis.Analysis, error) {
		options := options
		options.Now, options.Against = time.Now(), cmp.Or(against, options.Against)
		return look.Analyze(ctx, h, options, run)
	}
	l.State = func(ctx context.Context) (string, error) {
		lines, older, err := h.Lines(ctx, 1)
		if err != nil || len(lines) == 0 {
			return "empty", err
		}
		return fmt.Sprintf("%d of %d", lines[0].ID, older+1), nil
	}
}

// openRepositories opens the store of each NAME=STORE, with an index of its own in the module.
// Sources, plan and limits of the module do not belong to the repositories and are not used.
func openRepositories(ctx context.Context, p project.Project, named []string, look records.AnalysisFlags, say io.Writer) (all []render.Repository, closeAll func(), err error) {
	var closing []func()
	closeAll = func() {
		for _, f := range slices.Backward(closing) {
			f()
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	seen := map[string]bool{}
	var pulls sync.WaitGroup
	defer pulls.Wait()
	var stores []*records.Shared
	for _, one := range named {
		name, address, _ := strings.Cut(one, "=")
		if err := render.CheckRepository(name); err != nil {
			return nil, closeAll, cli.Usage(fmt.Errorf("--repository: %w", err))
		}
		if variable := "FLUJO_STORE_" + strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToUpper(name)); address == "" {
			if address = os.Getenv(variable); address == "" {
				return nil, closeAll, cli.Usage(fmt.Errorf("--repository %s: give its store, as in %s=git:ADDRESS, or set %s", name, name, variable))
			}
		}
		if seen[strings.ToLower(name)] {
			return nil, closeAll, cli.Usage(fmt.Errorf("--repository %s is given twice: each needs a name of its own", name))
		}
		seen[strings.ToLower(name)] = true
		dir := p.Path("", ".flujo/repositories")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, closeAll, cli.Fault(err)
		}
		h, err := history.Open(ctx, filepath.Join(dir, name+".db"))
		if err != nil {
			return nil, closeAll, cli.Fault(err)
		}
		closing = append(closing, func() { _ = h.Close() })
		store, err := records.StoreAt(address).Connect(ctx, p, h)
		if err != nil {
			return nil, closeAll, err
		}
		pulls.Go(func() { store.Pull(ctx) })
		stores = append(stores, store)
		l := &render.Live{Every: time.Second, Prefix: "/" + name}
		show(l, h, look, analysis.Options{Window: look.Window})
		all = append(all, render.Repository{Name: name, Live: l})
	}
	pulls.Wait()
	for _, s := range stores {
		closing = append(closing, s.KeepPulling(ctx, 30*time.Second, say))
	}
	return all, closeAll, nil
}

// openBrowser opens an address in the browser of the desktop.
func openBrowser(ctx context.Context, address string) error {
	command := []string{"xdg-open", address}
	switch runtime.GOOS {
	case "darwin":
		command[0] = "open"
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler", address}
	}
	browser := exec.CommandContext(ctx, command[0], command[1:]...)
	if err := browser.Start(); err != nil {
		return err
	}
	go func() { _ = browser.Wait() }() // its exit status does not matter
	return nil
}

// serve handles requests until ctx ends.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, errs *log.Logger) error {
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: errs,
		BaseContext: func(net.Listener) context.Context { return ctx }} // so that event streams end with it
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener) }()
	select {
	case err := <-ended:
		return cli.Fault(err)
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := s.Shutdown(wait); err != nil {
		return errors.Join(s.Close())
	}
	return nil
}
