package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// interleave moves flags before arguments, since people write
// `session replay exec_a1 --speed 2x` and the flag parser stops at the first
// argument. What follows "--" stays as it is.
func interleave(app *cli.App, args []string) []string {
	out := args[:1:1]
	rest := args[1:]
	commands, flags := app.Commands, app.Flags
	for len(rest) > 0 && len(commands) > 0 { // the path of commands
		if i := valueFlag(flags, rest); i > 0 {
			out, rest = append(out, rest[:i]...), rest[i:]
			continue
		}
		c := find(commands, rest[0])
		if c == nil {
			break
		}
		out, rest = append(out, rest[0]), rest[1:]
		commands, flags = c.Subcommands, c.Flags
	}
	if len(commands) > 0 {
		return append(out, rest...)
	}
	var positional []string
	for len(rest) > 0 {
		if rest[0] == "--" {
			positional = append(positional, rest...)
			break
		}
		if i := valueFlag(flags, rest); i > 0 {
			out, rest = append(out, rest[:i]...), rest[i:]
			continue
		}
		positional, rest = append(positional, rest[0]), rest[1:]
	}
	// The library looks for its completion flag at the very end.
	last := len(out) - 1
	if out[last] == "--generate-bash-completion" {
		return append(append(out[:last], positional...), out[last])
	}
	return append(out, positional...)
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// valueFlag returns how many of args the flag that they begin with takes: 0 when
// they begin with none. An unknown flag takes one; the parser complains of it.
func valueFlag(flags []cli.Flag, args []string) int {
	a := args[0]
	if len(a) < 2 || a[0] != '-' || a == "--" {
		return 0
	}
	if strings.Contains(a, "=") {
		return 1
	}
	name := strings.TrimLeft(a, "-")
	for _, f := range flags {
		for _, n := range f.Names() {
			if d, ok := f.(cli.DocGenerationFlag); ok && n == name && d.TakesValue() {
				return min(2, len(args))
			}
		}
	}
	return 1
}
