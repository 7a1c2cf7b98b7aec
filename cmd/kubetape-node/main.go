// Command kubetape-node records the shells of one machine: every exec and attach
// in its containers and every login on the machine itself.
//
// It opens one local port for metrics and health (see listen in its
// configuration) and no other.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

// Exit statuses.
const (
	exitFailed  = 1 // could not do what was asked
	exitUsage   = 2 // wrong flag, argument or configuration
	exitCannot  = 3 // this kernel or this user cannot capture
	exitRunning = 4 // another recorder is running
)

var version = "dev" // set by the linker

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args))
}

func run(ctx context.Context, args []string) int {
	app := &cli.App{
		Name:            "kubetape-node",
		Usage:           "record every exec, attach and login of this machine",
		Version:         version,
		HideHelpCommand: true,
		Commands:        []*cli.Command{runCommand(), checkCommand(), configCommand(), unloadCommand()},
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    func(_ *cli.Context, err error, _ bool) error { return usage{err} },
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage{fmt.Errorf("unknown command %q; see kubetape-node --help", c.Args().First())}
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError = app.OnUsageError
	}
	err := app.RunContext(ctx, args)
	if err == nil {
		return 0
	}
	if text := oneLine(err); text != "" {
		fmt.Fprintln(os.Stderr, "kubetape-node: "+text)
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return exitFailed
}

// oneLine joins what errors.Join put on several lines.
func oneLine(err error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}

// usage is an error of whoever typed the command.
type usage struct{ error }

func (usage) ExitCode() int   { return exitUsage }
func (u usage) Unwrap() error { return u.error }

// coded is an error with an exit status of its own.
type coded struct {
	error
	code int
}

func (c coded) ExitCode() int { return c.code }
func (c coded) Unwrap() error { return c.error }
