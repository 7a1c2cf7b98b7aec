// Package binaries builds the programs that the tests and the demo run, out of
// the checkout that the caller stands in, statically linked so that a container
// can run them too.
package binaries

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Set is where the built programs lie. A path is "" when the checkout has no
// such program.
type Set struct {
	Node     string // the recorder, kubetape-node
	CLI      string // kubetape
	Workload string // what containers run
}

// Build builds all programs into dir.
func Build(ctx context.Context, dir string) (Set, error) {
	module, err := moduleDir(ctx)
	if err != nil {
		return Set{}, err
	}
	root := filepath.Dir(module)
	var s Set
	for _, p := range []struct {
		at       *string
		in, name string
	}{
		{&s.Node, root, "cmd/kubetape-node"},
		{&s.CLI, root, "cmd/kubetape"},
		{&s.Workload, module, "cmd/workload"},
	} {
		if sources, _ := filepath.Glob(filepath.Join(p.in, p.name, "*.go")); len(sources) == 0 {
			continue
		}
		out := filepath.Join(dir, filepath.Base(p.name))
		cmd := exec.CommandContext(ctx, "go", "build", "-o", out, "./"+p.name)
		cmd.Dir = p.in
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
		if text, err := cmd.CombinedOutput(); err != nil {
			return Set{}, fmt.Errorf("build %s: %w\n%s", p.name, err, text)
		}
		*p.at = out
	}
	return s, nil
}

// moduleDir returns the directory of this Go module.
func moduleDir(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/kubetape/kubetape/testenv").Output()
	if err != nil {
		return "", fmt.Errorf("find the checkout (run this from within testenv): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
