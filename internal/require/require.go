// Package require lets a test say what it needs of the machine: root, a
// program, BPF. What is missing skips the test with a reason; with
// KUBETAPE_REQUIRE=all in the environment it fails the test instead, so that a
// build machine cannot quietly test less than it should.
//
// Each skip is one line on standard error, beginning with "kubetape: skip:".
// `go test` hides that of a package that passed, so the line is also appended
// to the file that KUBETAPE_SKIPS names (an absolute path), where a Makefile
// can count it.
//
// Only tests import this package.
package require

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The environment that steers this package.
const (
	// EnvRequire set to "all" turns each skip into a failure.
	EnvRequire = "KUBETAPE_REQUIRE"
	// EnvSkips names a file that gets one line for each skip.
	EnvSkips = "KUBETAPE_SKIPS"
)

// Root needs the test to run as root.
func Root(t testing.TB) {
	t.Helper()
	if uid := os.Geteuid(); uid != 0 {
		Skip(t, "needs root, runs as uid %d", uid)
	}
}

// Tool needs the program name and returns its path. Beside $PATH it looks in
// the places for administrators' programs, which a user's $PATH often lacks.
func Tool(t testing.TB, name string) string {
	t.Helper()
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	Skip(t, "needs the program %s", name)
	return ""
}

// Skip ends the test for want of something: a skip that is counted, or a
// failure where the environment demands everything. The reason is one line.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	reason := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")
	if os.Getenv(EnvRequire) == "all" {
		t.Fatalf("%s=all: %s", EnvRequire, reason)
	}
	line := fmt.Sprintf("kubetape: skip: %s: %s\n", t.Name(), reason)
	fmt.Fprint(os.Stderr, line)
	if err := count(os.Getenv(EnvSkips), line); err != nil {
		t.Fatalf("count a skipped test: %v", err)
	}
	t.Skip(reason)
}

// count appends line to the file name. Test binaries of several packages run
// at once: O_APPEND keeps their lines whole.
func count(name, line string) error {
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line); err != nil {
		_ = f.Close() // the write's error says more
		return err
	}
	return f.Close()
}
