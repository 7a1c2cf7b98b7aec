package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/kubetape/kubetape/internal/session"
)

// version is set by the build of a release: -ldflags "-X main.version=v1.2.3".
var version = ""

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version of this program and of the recording format",
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintf(c.App.Writer, "kubetape %s\nrecording format %d\n%s %s/%s\n", buildVersion(), session.FormatVersion,
				runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "(devel)"
}
