package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kubetape/kubetape/internal/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kubetape-node": main})
}

// TestScripts runs testdata/*.txtar with the real program. Their own commands:
// `status N PROGRAM ARG…` runs a program and compares its exit status;
// `oneline FILE` wants one line that begins with the program's name;
// `locked DIR PROGRAM ARG…` runs a program while another recorder has DIR.
// `waitfor FILE` waits until a file has been written.
func TestScripts(t *testing.T) {
	t.Run("as anybody", func(t *testing.T) { scripts(t, "testdata/user") })
	t.Run("as root with BPF", func(t *testing.T) {
		require.BPF(t)
		require.Tool(t, "setpriv")
		scripts(t, "testdata/root")
	})
}

func scripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PINS", filepath.Join(e.WorkDir, "pins"))
			return os.Chmod(e.WorkDir, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":  status,
			"oneline": oneLineFile,
			"locked":  locked,
			"waitfor": waitFor,
		},
	})
}

func status(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("run %s: %v", args[1], err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || got != want {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

func oneLineFile(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	if strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "kubetape-node: ") || strings.Contains(text, "goroutine") {
		ts.Fatalf("not one clear line: %q", text)
	}
	if i := slices.IndexFunc([]rune(text), func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
		ts.Fatalf("a control character in %q", text)
	}
}
