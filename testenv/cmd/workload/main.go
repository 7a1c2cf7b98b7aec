// Command workload is what a container runs in the tests: a small static
// program of many names, each of which writes, reads or behaves in one way that
// a recorder must cope with. Its bytes can be told beforehand (package
// pattern), and what it took in it reports as count and SHA-256.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
)

// commands are the names, each with its arguments and what it does.
var commands map[string]command

type command struct {
	args, what string
	run        func(args []string) error
}

func init() {
	commands = map[string]command{
		"emit":          {"[-text] [-stderr] N SEED", "write N bytes of the pattern SEED", emit},
		"both":          {"N SEED", "write N bytes of SEED to stdout and as many of SEED+1 to stderr, in turns", both},
		"sink":          {"", "read stdin, then print its count and SHA-256 to stderr", sink},
		"cat":           {"", "copy stdin to stdout by plain reads and writes", cat},
		"exit":          {"STATUS", "end with that status", exit},
		"raw":           {"COMMAND…", "make the terminal raw, then COMMAND", raw},
		"writev":        {"N SEED", "as emit, by writev(2) of seven parts", writev},
		"sendfile":      {"N SEED", "as emit, by sendfile(2)", sendfile},
		"splice":        {"N SEED", "as emit, by splice(2) out of a pipe", splice},
		"io_uring":      {"N SEED", "as emit, by io_uring", ioUring},
		"openpty":       {"N SEED", "as emit, through a pty of its own", openpty},
		"rename":        {"NAME COMMAND…", "take NAME as process name, then COMMAND", rename},
		"doublefork":    {"COMMAND…", "COMMAND in a grandchild whose parent ended; wait for it", doublefork},
		"outlive":       {"COMMAND…", "COMMAND in a session of its own after this process ended", outlive},
		"forkbomb":      {"N", "N processes, each started by one before it; print how many ran", forkbomb},
		"prompt":        {"", "ask for a password without echo, then for a name with echo", prompt},
		"escapes":       {"", "print terminal escapes that would act on a reader's machine", escapes},
		"sleep-forever": {"", "wait for SIGTERM", sleepForever},
	}
}

func main() {
	if len(os.Args) < 2 {
		usage()
		os.Exit(2)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "workload: %v\n", err)
		os.Exit(1)
	}
}

// run runs one command; some commands end by running another.
func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("which command?")
	}
	c, ok := commands[args[0]]
	if !ok {
		return fmt.Errorf("no command %q", args[0])
	}
	if err := c.run(args[1:]); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

func usage() {
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString("usage: workload COMMAND [ARGUMENT…]\n")
	for _, name := range names {
		fmt.Fprintf(&b, "  %-40s %s\n", name+" "+commands[name].args, commands[name].what)
	}
	fmt.Fprint(os.Stderr, b.String())
}
