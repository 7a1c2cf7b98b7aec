package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kubetape/kubetape/internal/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kubetape": main, "kubectl-tape": main})
}

// TestScripts runs testdata/*.txtar with the real program. Their own commands:
// `fixtures` makes the recordings of fixtures_test.go in $KUBETAPE_DIR,
// `sha256 FILE HEX` compares, `cut FILE N` drops the last N bytes of a file.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			dir := filepath.Join(e.WorkDir, "recordings")
			e.Setenv("KUBETAPE_DIR", dir)
			return os.Mkdir(dir, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fixtures": func(ts *testscript.TestScript, _ bool, _ []string) {
				if err := makeFixtures(ts.Getenv("KUBETAPE_DIR")); err != nil {
					ts.Fatalf("%v", err)
				}
			},
			"sha256": func(ts *testscript.TestScript, _ bool, args []string) {
				sum := sha256.Sum256([]byte(ts.ReadFile(args[0])))
				if got := hex.EncodeToString(sum[:]); got != args[1] {
					ts.Fatalf("sha256 of %s is %s", args[0], got)
				}
			},
			"same": func(ts *testscript.TestScript, _ bool, args []string) {
				want, ok := exact[args[1]]
				if got := ts.ReadFile(args[0]); !ok || got != want {
					ts.Fatalf("%s is %q, not %q", args[0], got, want)
				}
			},
			"code": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				if got := exitStatus(err); got != args[0] {
					ts.Fatalf("exit status %s, want %s (%v)", got, args[0], err)
				}
			},
			"cut": func(ts *testscript.TestScript, _ bool, args []string) {
				file := ts.MkAbs(args[0])
				st, err := os.Stat(file)
				if err == nil {
					err = os.Truncate(file, st.Size()-int64(len(args[1])))
				}
				if err != nil {
					ts.Fatalf("%v", err)
				}
			},
		},
	})
}

func exitStatus(err error) string {
	if err == nil {
		return "0"
	}
	return strings.TrimPrefix(err.Error(), "exit status ")
}

// export makes a file of the recording in another form.
func export(t *testing.T, id, format string) string {
	t.Helper()
	dir := t.TempDir()
	if err := makeFixtures(dir); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "out.cast")
	if code := run([]string{"kubetape", "session", "export", id, "--dir", dir, "--format", format, "-o", file}); code != 0 {
		t.Fatalf("exit status %d", code)
	}
	return file
}

func TestAsciinemaShowsTheExportAsRecorded(t *testing.T) {
	asciinema := require.Tool(t, "asciinema")
	script := require.Tool(t, "script") // gives it the terminal that it wants
	file := export(t, "exec_a1b2c3", "asciicast-v2")
	command(t, script, "-qec", asciinema+" cat "+file+" > "+file+".out", "/dev/null")
	got, err := os.ReadFile(file + ".out")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != exact["exec_a1b2c3.stdout"] {
		t.Errorf("asciinema wrote %q, recorded was %q", got, exact["exec_a1b2c3.stdout"])
	}
}

// playerVersion is the asciinema-player whose parser reads our exports.
const playerVersion = "3.17.0"

// player returns the directory of the unpacked asciinema-player, which it keeps in
// the user's cache.
func player(t *testing.T) string {
	t.Helper()
	npm := require.Tool(t, "npm")
	cache, err := os.UserCacheDir()
	if err != nil {
		require.Skip(t, "needs a cache directory: %v", err)
	}
	dir := filepath.Join(cache, "kubetape-test", "asciinema-player-"+playerVersion)
	modules := filepath.Join(dir, "node_modules", "asciinema-player")
	if _, err := os.Stat(filepath.Join(modules, "package.json")); err == nil {
		return modules
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(npm, "install", "--prefix", dir, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts",
		"asciinema-player@"+playerVersion).CombinedOutput()
	if err != nil {
		require.Skip(t, "needs asciinema-player %s from npm: %v: %s", playerVersion, err, out)
	}
	return modules
}

func TestAsciinemaPlayerParsesTheExport(t *testing.T) {
	node := require.Tool(t, "node")
	modules := player(t)
	for _, format := range []string{"asciicast-v2", "asciicast-v3"} {
		t.Run(format, func(t *testing.T) {
			file := export(t, "exec_a1b2c3", format)
			var got struct {
				Cols, Rows int
				Events     [][]any
			}
			if err := json.Unmarshal([]byte(command(t, node, "testdata/parse.mjs", modules, file)), &got); err != nil {
				t.Fatal(err)
			}
			text, last := map[string]string{}, 0.0
			for _, e := range got.Events {
				text[e[1].(string)] += e[2].(string)
				last = e[0].(float64)
			}
			end := 59000.0 // the last output; version 3 has the exit after it
			if format == "asciicast-v3" {
				end = 60000
			}
			if got.Cols != 120 || got.Rows != 43 || math.Abs(last-end) > 0.01 {
				t.Errorf("%dx%d, last event after %v ms", got.Cols, got.Rows, last)
			}
			if text["o"] != exact["exec_a1b2c3.stdout"] || text["i"] != exact["exec_a1b2c3.stdin"] || text["r"] != "132x50" {
				t.Errorf("parsed %q", text)
			}
			if x := text["x"]; x != map[string]string{"asciicast-v2": "", "asciicast-v3": "0"}[format] {
				t.Errorf("exit %q", x)
			}
		})
	}
}
