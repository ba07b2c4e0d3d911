package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/live"
	"github.com/flujo/flujo-harness/reports/render"
)

func serveCommand() *cobra.Command {
	var db, token string
	var look records.AnalysisFlags
	var shared records.StoreFlags
	var port int
	var open bool
	cmd := &cobra.Command{
		Use: "serve", Args: cobra.NoArgs,
		Short:   "Show the report on this machine, live as runs arrive",
		Example: `  flujo-harness serve`,
		Long: `Serves the page of the newest run from the history on 127.0.0.1 and loads it anew in the
browser when a run arrives. A run of this module that is in progress is shown as its specs end; one
whose process died is shown as cut off. It prints the address, with a token that the browser then
keeps; requests by another name, without the token, or other than GET are refused.
"?run=N" and /run/DIGEST show another run, /compare?a=A&b=B a run compared with another,
/spec/ID a spec of the newest run; --open opens the browser. Ends with Ctrl-C. With --store it
takes in the runs of other machines every half minute.

Exit codes: 0 it was stopped; 2 usage; 3 a damaged history, or a port that is taken.`,
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
			options, err := look.Options(p)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			history, store, err := shared.OpenShared(ctx, p, p.Path(db, ".flujo/history.db"))
			if err != nil {
				return err
			}
			defer history.Close()
			defer store.KeepPulling(ctx, 30*time.Second, cmd.ErrOrStderr())()
			listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				return cli.Fault(fmt.Errorf("%w: name another --port, or 0 for any that is free", err))
			}
			at := listener.Addr().(*net.TCPAddr).Port
			live := &render.Live{Token: token, Every: time.Second, Hosts: []string{fmt.Sprintf("127.0.0.1:%d", at), fmt.Sprintf("localhost:%d", at)},
				Find: history.Find,
				Runs: func() []live.Following {
					return live.Follow(filepath.Join(p.Root, ".flujo"), historyOf(p, db))
				},
				Tell: func(ctx context.Context, run int64, against string) (*analysis.Analysis, error) {
					options := options
					options.Now, options.Against = time.Now(), cmp.Or(against, options.Against)
					return look.Analyze(ctx, history, options, run)
				},
				State: func(ctx context.Context) (string, error) {
					lines, older, err := history.Lines(ctx, 1)
					if err != nil || len(lines) == 0 {
						return "empty", err
					}
					return fmt.Sprintf("%d of %d", lines[0].ID, older+1), nil
				}}
			fmt.Fprintf(cmd.OutOrStdout(), "http://127.0.0.1:%d/?token=%s\n", at, token)
			if open {
				live.Once = rand.Text() // other users see the arguments of a browser
				if err := openBrowser(ctx, fmt.Sprintf("http://127.0.0.1:%d/?token=%s", at, live.Once)); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "note: no browser was opened: %v: use the address above\n", err)
				}
			}
			return serve(ctx, listener, live, log.New(cmd.ErrOrStderr(), "flujo-harness: ", 0))
		},
	}
	cmd.Flags().StringVar(&db, "db", "", "history database (default .flujo/history.db of the module)")
	cmd.Flags().IntVar(&port, "port", 0, "port on 127.0.0.1 (0: any that is free)")
	cmd.Flags().StringVar(&token, "token", "", "token that requests must know (default one made up)")
	cmd.Flags().BoolVar(&open, "open", false, "open the page in the browser")
	look.Register(cmd)
	shared.Register(cmd)
	return cmd
}

// openBrowser shows an address in the browser of the desktop.
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
	go func() { _ = browser.Wait() }() // how it ends is not our business
	return nil
}

// serve answers until ctx ends.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, errs *log.Logger) error {
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: errs,
		BaseContext: func(net.Listener) context.Context { return ctx }} // events end with it
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
