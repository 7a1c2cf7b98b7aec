// Command kubetape lists, shows, replays, verifies and exports recordings of
// sessions. Named kubectl-tape it is `kubectl tape`. docs/cli.md is its manual.
//
// It reads recordings from directories and files, and needs neither a cluster nor
// a recorder.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/kubetape/kubetape/internal/console"
	"github.com/kubetape/kubetape/internal/store"
	"github.com/kubetape/kubetape/internal/termsafe"
)

// defaultDir is where kubetape-node keeps recordings.
const defaultDir = "/var/lib/kubetape/recordings"

func main() { os.Exit(run(os.Args)) }

// run is main with an exit status.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	app := newApp(programName(args))
	if len(args) == 0 {
		args = []string{app.Name}
	}
	err := app.RunContext(ctx, interleave(app, args))
	if err != nil && !errors.Is(err, console.ErrReported) && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "kubetape: "+termsafe.Line(strings.TrimRight(err.Error(), "\n")))
	}
	return console.ExitCode(err)
}

// programName returns how the person calls this program. kubectl runs the plugin
// `kubectl tape` from a file named kubectl-tape (or kubectl-tape.exe).
func programName(args []string) string {
	if len(args) > 0 && strings.TrimSuffix(filepath.Base(args[0]), ".exe") == "kubectl-tape" {
		return "kubectl tape"
	}
	return "kubetape"
}

func newApp(name string) *cli.App {
	app := &cli.App{
		Name:                 name,
		HelpName:             name,
		Usage:                "list, replay, verify and export recorded sessions",
		HideVersion:          true,
		HideHelpCommand:      true,
		EnableBashCompletion: true,
		Writer:               os.Stdout,
		ErrWriter:            os.Stderr,
		Commands:             []*cli.Command{sessionCommand(), completionCommand(name), versionCommand()},
		Action:               noCommand,
		OnUsageError:         usage,
		ExitErrHandler:       func(*cli.Context, error) {}, // run prints and exits
	}
	each(app.Commands, func(c *cli.Command) {
		c.OnUsageError = usage
		c.HideHelpCommand = true
		if c.Action == nil {
			c.Action = noCommand
		}
	})
	return app
}

func each(cs []*cli.Command, do func(*cli.Command)) {
	for _, c := range cs {
		do(c)
		each(c.Subcommands, do)
	}
}

// usage turns the library's complaint about flags into one line.
func usage(_ *cli.Context, err error, _ bool) error { return console.Usage("%v", err) }

// noCommand answers a call that names no command, or one that does not exist.
func noCommand(c *cli.Context) error {
	if c.Args().Present() {
		return console.Usage("no command %q: see %s --help", c.Args().First(), c.App.Name)
	}
	_ = cli.ShowSubcommandHelp(c)
	return console.Usage("which command?")
}

// newConsole returns the console of the process, on the directories of --dir.
func newConsole(c *cli.Context) *console.Console {
	return &console.Console{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Store: store.Open(c.StringSlice("dir")...)}
}
