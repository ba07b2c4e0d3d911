// Command postgres starts a PostgreSQL server of its own, runs a command, and stops the server:
//
//	go run ./.ci/postgres flujo-harness cost --backend ADDRESS
//
// The word ADDRESS in the command is the address of an empty database. It ends with the exit
// code of the command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./.ci/postgres COMMAND ARGUMENT... (ADDRESS: that of the database)")
		os.Exit(2)
	}
	code, err := with(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "postgres:", err)
		code = 3
	}
	os.Exit(code)
}

func with(command []string) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := pgserver.Start(pgserver.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	for i, word := range command {
		if word == "ADDRESS" {
			command[i] = s.DSN("postgres")
		}
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}
