package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/kubetape/kubetape/internal/console"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/store"
)

func sessionCommand() *cli.Command {
	return &cli.Command{
		Name:  "session",
		Usage: "work with recorded sessions",
		Subcommands: []*cli.Command{
			lsCommand(), showCommand(), replayCommand(), catCommand(), verifyCommand(), exportCommand(),
		},
	}
}

func dirFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "dir", Usage: "`DIRECTORY` of recordings; may be given several times",
		EnvVars: []string{"KUBETAPE_DIR"}, Value: cli.NewStringSlice(defaultDir)}
}

func idFlag() cli.Flag {
	return &cli.StringFlag{Name: "id", Usage: "`ID` of the recording, any unique prefix of it, or a file; also as an argument"}
}

func outputFlag(value, usage string) cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: value, Usage: usage}
}

func rawFlag() cli.Flag {
	return &cli.BoolFlag{Name: "raw", Usage: "do not filter terminal escapes; what was recorded may then act on this machine"}
}

// recordingArg returns the one recording that --id or the argument names.
func recordingArg(c *cli.Context) (string, error) {
	ids := c.Args().Slice()
	if c.IsSet("id") {
		ids = append(ids, c.String("id"))
	}
	switch {
	case len(ids) == 0:
		return "", console.Usage("which recording? give its ID, a prefix of it, or a file")
	case len(ids) > 1:
		return "", console.Usage("one recording at a time: %s", strings.Join(ids, ", "))
	}
	return ids[0], nil
}

// one is a command about one recording.
func one(name, usage string, do func(*cli.Context, string) error, flags ...cli.Flag) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, ArgsUsage: "[ID|FILE]",
		Flags:        append(flags, idFlag(), dirFlag()),
		BashComplete: completeIDs,
		Action: func(c *cli.Context) error {
			arg, err := recordingArg(c)
			if err != nil {
				return err
			}
			return do(c, arg)
		},
	}
}

func lsCommand() *cli.Command {
	return &cli.Command{
		Name: "ls", Aliases: []string{"list"}, Usage: "list recordings",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "kind", Usage: "only exec, attach or shell"},
			&cli.StringSliceFlag{Name: "status", Usage: "only complete, lossy, torn or open"},
			&cli.StringFlag{Name: "user", Usage: "only this user, or uid:N; * and ? stand for anything, here and below"},
			&cli.StringFlag{Name: "peer", Usage: "only logins from this `ADDRESS`, with or without port"},
			&cli.StringFlag{Name: "node", Usage: "only this node"},
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "only this namespace"},
			&cli.StringFlag{Name: "pod", Usage: "only this pod"},
			&cli.StringFlag{Name: "container", Aliases: []string{"c"}, Usage: "only this container, by name or ID"},
			&cli.StringFlag{Name: "since", Usage: "only what began at this `TIME` or later: 2026-02-09T10:15:30Z, 2026-02-09, 2h, 7d"},
			&cli.StringFlag{Name: "until", Usage: "only what began before this `TIME`"},
			&cli.StringFlag{Name: "sort", Value: "start", Usage: "by `WHAT`: " + strings.Join(store.Orders(), ", ")},
			&cli.BoolFlag{Name: "reverse", Aliases: []string{"r"}, Usage: "the other way round"},
			&cli.IntFlag{Name: "limit", Usage: "at most `N`, after sorting; 0: all"},
			outputFlag("table", "`FORMAT`: table, wide, json or jsonl"),
			dirFlag(),
		},
		Action: func(c *cli.Context) error {
			o, err := listOptions(c)
			if err != nil {
				return err
			}
			return newConsole(c).List(c.Context, o)
		},
	}
}

func listOptions(c *cli.Context) (o console.ListOptions, err error) {
	if c.Args().Present() {
		return o, console.Usage("ls takes no arguments: %s", c.Args().First())
	}
	o = console.ListOptions{Sort: c.String("sort"), Reverse: c.Bool("reverse"), Limit: c.Int("limit"), Format: c.String("output"),
		Filter: store.Filter{User: c.String("user"), Peer: c.String("peer"), Node: c.String("node"), Namespace: c.String("namespace"),
			Pod: c.String("pod"), Container: c.String("container")}}
	for _, k := range c.StringSlice("kind") {
		if !session.Kind(k).Valid() {
			return o, console.Usage("kind %q is not known: use exec, attach or shell", k)
		}
		o.Filter.Kinds = append(o.Filter.Kinds, session.Kind(k))
	}
	for _, s := range c.StringSlice("status") {
		if !slices.Contains([]session.Status{session.Complete, session.Lossy, session.Torn, session.Open}, session.Status(s)) {
			return o, console.Usage("status %q is not known: use complete, lossy, torn or open", s)
		}
		o.Filter.Statuses = append(o.Filter.Statuses, session.Status(s))
	}
	if !slices.Contains([]string{"table", "wide", "json", "jsonl"}, o.Format) {
		return o, console.Usage("output format %q is not known: use table, wide, json or jsonl", o.Format)
	}
	if !slices.Contains(store.Orders(), o.Sort) {
		return o, console.Usage("cannot sort by %q: use %s", o.Sort, strings.Join(store.Orders(), ", "))
	}
	now := time.Now()
	if o.Filter.Since, err = console.ParseTime(c.String("since"), now); err != nil {
		return o, err
	}
	o.Filter.Until, err = console.ParseTime(c.String("until"), now)
	return o, err
}

func showCommand() *cli.Command {
	return one("show", "print everything about a recording but its bytes", func(c *cli.Context, arg string) error {
		return newConsole(c).Show(c.Context, arg, c.String("output"))
	}, outputFlag("text", "`FORMAT`: text or json"))
}

func replayCommand() *cli.Command {
	cmd := one("replay", "play a recording as it was seen", func(c *cli.Context, arg string) error {
		speed, err := console.ParseSpeed(c.String("speed"))
		if err != nil {
			return err
		}
		if c.Duration("idle-limit") < 0 {
			return console.Usage("idle limit %v is negative", c.Duration("idle-limit"))
		}
		return newConsole(c).Replay(c.Context, arg, console.ReplayOptions{Speed: speed, From: c.String("from"), To: c.String("to"),
			IdleLimit: c.Duration("idle-limit"), Raw: c.Bool("raw")})
	},
		&cli.StringFlag{Name: "speed", Aliases: []string{"s"}, Value: "1x", Usage: "`SPEED`: 0.5x, 2x, …, or max"},
		&cli.StringFlag{Name: "from", Usage: "begin at this `POSITION`: an offset (1m30s) or a time (2026-02-09T10:15:30Z)"},
		&cli.StringFlag{Name: "to", Usage: "stop at this `POSITION`"},
		&cli.DurationFlag{Name: "idle-limit", Aliases: []string{"i"}, Usage: "wait at most this long (2s) between two events"},
		rawFlag())
	cmd.Description = "Keys on a terminal: space pauses and goes on, . is one step while paused, the left arrow (or ,) and\n" +
		"the right arrow go five seconds back and on, + and - change the speed, q ends."
	return cmd
}

func catCommand() *cli.Command {
	return one("cat", "write the exact bytes of a stream", func(c *cli.Context, arg string) error {
		return newConsole(c).Cat(c.Context, arg, session.Stream(c.String("stream")), c.Bool("raw"))
	}, &cli.StringFlag{Name: "stream", Value: "stdout", Usage: "`STREAM`: stdout, stderr or stdin"}, rawFlag())
}

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check recordings: checksums, order, totals, digests, end", ArgsUsage: "[ID|FILE]...",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "all recordings of the directory"},
			outputFlag("table", "`FORMAT`: table, json or jsonl"),
			&cli.StringSliceFlag{Name: "id", Usage: "`ID` of a recording, any unique prefix of it, or a file; also as arguments"},
			dirFlag(),
		},
		BashComplete: completeIDs,
		Action: func(c *cli.Context) error {
			args := append(c.Args().Slice(), c.StringSlice("id")...)
			if len(args) == 0 && !c.Bool("all") {
				return console.Usage("which recordings? give IDs or files, or --all")
			}
			if len(args) > 0 && c.Bool("all") {
				return console.Usage("either --all or IDs, not both")
			}
			return newConsole(c).Verify(c.Context, args, c.Bool("all"), c.String("output"))
		},
	}
}

func exportCommand() *cli.Command {
	return one("export", "write a recording in another form", func(c *cli.Context, arg string) error {
		if c.String("format") == "" {
			return console.Usage("which --format? one of %s", strings.Join(console.Formats, ", "))
		}
		return newConsole(c).Export(c.Context, arg, c.String("format"), c.String("output"))
	}, &cli.StringFlag{Name: "format", Aliases: []string{"f"}, Usage: "`FORMAT`: " + strings.Join(console.Formats, ", ")},
		outputFlag("", "write to this `FILE` and not to stdout"))
}

// completeIDs completes the IDs of recordings, and flags.
func completeIDs(c *cli.Context) {
	cli.DefaultCompleteWithFlags(c.Command)(c)
	ids, err := store.Open(c.StringSlice("dir")...).IDs("")
	if err != nil {
		return // nothing to complete
	}
	for _, id := range ids {
		fmt.Fprintln(c.App.Writer, id)
	}
}
