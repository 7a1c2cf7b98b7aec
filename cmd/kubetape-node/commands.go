package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/kubetape/kubetape/internal/node"
)

func configFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read configuration from `FILE`", EnvVars: []string{"KUBETAPE_NODE_CONFIG"}},
		&cli.StringFlag{Name: "node", Usage: "`NAME` of this machine in recordings"},
		&cli.StringFlag{Name: "recordings", Usage: "write recordings to `DIR`"},
		&cli.StringFlag{Name: "stdin", Usage: "what is kept of typed input: masked, full or off"},
		&cli.StringFlag{Name: "flavour", Usage: "force a capture flavour"},
		&cli.StringFlag{Name: "ring", Usage: "`SIZE` of the buffer between kernel and recorder, such as 16MiB"},
		&cli.StringFlag{Name: "pin-dir", Usage: "pin capture in `DIR` on a bpffs; empty: no pins"},
		&cli.BoolFlag{Name: "keep-on-stop", Usage: "leave the capture running when asked to stop, for a successor"},
		&cli.DurationFlag{Name: "idle-detach", Usage: "take the hook on system calls away after so long without a session; 0: never"},
		&cli.StringSliceFlag{Name: "runtime-socket", Usage: "ask this container runtime `SOCKET` (CRI) for names; repeatable"},
		&cli.StringFlag{Name: "listen", Usage: "local `ADDRESS` for metrics and health, or off"},
		&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", Usage: "text or json"},
	}
}

// config is the file's, or the defaults, with the flags that were given.
func config(c *cli.Context) (node.Config, error) {
	conf := node.Default()
	if f := c.String("config"); f != "" {
		var err error
		if conf, err = node.Load(f); err != nil {
			return conf, usage{err}
		}
	}
	text := map[string]*string{
		"node": &conf.Node, "recordings": &conf.Recordings, "pin-dir": &conf.Capture.Pins,
		"listen": &conf.Listen, "log-level": &conf.Log.Level, "log-format": &conf.Log.Format,
		"stdin": (*string)(&conf.Stdin), "flavour": (*string)(&conf.Capture.Flavour),
	}
	for name, p := range text {
		if c.IsSet(name) {
			*p = c.String(name)
		}
	}
	if c.IsSet("ring") {
		n, err := node.ParseSize(c.String("ring"))
		if err != nil {
			return conf, usage{err}
		}
		conf.Capture.Ring = n
	}
	if c.IsSet("keep-on-stop") {
		conf.Capture.KeepOnStop = c.Bool("keep-on-stop")
	}
	if c.IsSet("idle-detach") {
		conf.Capture.IdleDetach = c.Duration("idle-detach")
	}
	if c.IsSet("runtime-socket") {
		conf.RuntimeSockets = c.StringSlice("runtime-socket")
	}
	if err := conf.Validate(); err != nil {
		return conf, usage{err}
	}
	return conf, nil
}

func noArgs(c *cli.Context) error {
	if c.Args().Present() {
		return usage{fmt.Errorf("unexpected argument %q", c.Args().First())}
	}
	return nil
}

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "record until told to stop",
		Flags: append(configFlags(), &cli.StringFlag{Name: "ready-file", Usage: "make `FILE` when sessions are being recorded"}),
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			conf, err := config(c)
			if err != nil {
				return err
			}
			if r := node.Check(string(conf.Capture.Flavour)); !r.Usable() {
				return coded{errors.New(r.Why), exitCannot}
			}
			log := conf.Log.New(os.Stderr)
			err = node.Run(c.Context, conf, node.Hooks{Ready: func() {
				if f := c.String("ready-file"); f != "" {
					if err := os.WriteFile(f, []byte("ready\n"), 0o600); err != nil {
						log.Error("write ready file", "error", err)
					}
				}
			}}, log)
			if errors.Is(err, node.ErrRunning) {
				return coded{err, exitRunning}
			}
			return err
		},
	}
}

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "tell what this kernel allows; exit status 0: capture works, 3: it does not",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "flavour", Usage: "force a capture flavour"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "text or json"},
		},
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			r := node.Check(c.String("flavour"))
			switch c.String("output") {
			case "json":
				e := json.NewEncoder(c.App.Writer)
				e.SetIndent("", "  ")
				if err := e.Encode(r); err != nil {
					return err
				}
			case "text":
				printReport(c, r)
			default:
				return usage{fmt.Errorf("output %q: must be text or json", c.String("output"))}
			}
			if !r.Usable() {
				return coded{errors.New("capture is not possible: " + r.Why), exitCannot}
			}
			return nil
		},
	}
}

func printReport(c *cli.Context, r node.Report) {
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "kernel\t%s\n", r.Kernel)
	for _, f := range r.Findings {
		need := ""
		if f.Need {
			need = "needed"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, f.Answer, need, f.Detail)
	}
	if r.Usable() {
		fmt.Fprintf(w, "flavour\t%s\t\t%s\n", r.Flavour, r.Why)
	} else {
		fmt.Fprintf(w, "flavour\tnone\t\t%s\n", r.Why)
	}
	w.Flush()
}

func configCommand() *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "print the effective configuration, or with --default the commented defaults",
		Flags: append(configFlags(), &cli.BoolFlag{Name: "default", Usage: "print the commented defaults"}),
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			if c.Bool("default") {
				_, err := c.App.Writer.Write(node.DefaultYAML)
				return err
			}
			conf, err := config(c)
			if err != nil {
				return err
			}
			b, err := conf.YAML()
			if err != nil {
				return err
			}
			_, err = c.App.Writer.Write(b)
			return err
		},
	}
}

func unloadCommand() *cli.Command {
	return &cli.Command{
		Name:  "unload",
		Usage: "end a capture that was left in the kernel, and close its recordings",
		Flags: configFlags(),
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			conf, err := config(c)
			if err != nil {
				return err
			}
			found, err := node.Unload(conf, conf.Log.New(os.Stderr))
			if errors.Is(err, node.ErrRunning) {
				return coded{err, exitRunning}
			}
			if err != nil {
				return err
			}
			if !found {
				fmt.Fprintln(c.App.Writer, "nothing was loaded")
			}
			return nil
		},
	}
}
