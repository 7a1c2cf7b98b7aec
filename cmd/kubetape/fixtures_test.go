package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
)

// The recordings of the scripts. exact holds what their streams are, byte for
// byte: it is what `session cat` has to write.
var exact = map[string]string{
	"exec_a1b2c3.stdout": "$ ls\r\n\x1b[1;34mbin\x1b[m ✔\r\n\x1b]0;evil title\x07\x1b]52;c;ZXZpbA==\x07\x1b[6n$ exit\r\n",
	"exec_a1b2c3.stdin":  "ls\r",
	"exec_a1b2d4.stdout": "line one\nline two\x00\xff\xfe\x9b6n\n",
	"exec_a1b2d4.stderr": "warning\n",
}

var began = time.Date(2026, 2, 9, 10, 15, 30, 0, time.UTC)

func at(d time.Duration, e session.Event) session.Event {
	e.T = began.Add(d)
	return e
}

func data(d time.Duration, typ session.Type, s string) session.Event {
	return session.Event{T: began.Add(d), Type: typ, Data: []byte(s)}
}

func texts(argv ...string) (t []session.Text) {
	for _, a := range argv {
		t = append(t, session.Text(a))
	}
	return t
}

func end(d time.Duration, status session.Status, code int) session.Event {
	return at(d, session.Event{Type: session.TypeEnd, Status: status, ExitCode: &code})
}

func makeFixtures(dir string) error {
	uid := 0
	const s = time.Second
	tty := session.Meta{ID: "exec_a1b2c3", Kind: session.Exec, Observer: session.Node, StartedAt: began, Node: "n1",
		Namespace: "payments", Pod: "api-7d4b", Container: "app", ContainerID: "0123456789abcdef", Runtime: "containerd",
		Image: "api:1", Argv: texts("/bin/sh", "-c", "a b"), TTY: true, Cols: 120, Rows: 43, UID: &uid, User: "root", Stdin: session.Masked}
	pipe := session.Meta{ID: "exec_a1b2d4", Kind: session.Exec, Observer: session.Node, StartedAt: began.Add(time.Hour), Node: "n1",
		Namespace: "payments", Pod: "db-0", Container: "db", Argv: texts("cat"), StdinKind: "null", StdoutKind: "pipe", StderrKind: "pipe"}
	login := session.Meta{ID: "shell_9z", Kind: session.Shell, Observer: session.Node, StartedAt: began.Add(-24 * time.Hour), Node: "n2",
		User: "eve\x1b]0;x\x07\u202e", Peer: "192.0.2.7:4711", Argv: texts("-bash\nforged row"), TTY: true, Cols: 80, Rows: 24}
	slow := session.Meta{ID: "exec_slow1", Kind: session.Exec, Observer: session.Node, StartedAt: began, Argv: texts("sh"), TTY: true, Cols: 200, Rows: 50}
	if err := make1(dir, tty, end(60*s, session.Complete, 0),
		data(0, "stdout", "$ "),
		at(0, session.Event{Type: session.TypeExec, PID: 100, PPID: 1, Argv: texts("/bin/sh")}),
		data(1*s, "stdin", "ls\r"), data(1*s, "stdout", "ls\r\n"),
		at(2*s, session.Event{Type: session.TypeExec, PID: 101, PPID: 100, Argv: texts("ls", "-l\x1b[2J")}),
		data(2*s, "stdout", "\x1b[1;34mbin\x1b[m \xe2\x9c"), data(3*s, "stdout", "\x94\r\n"),
		at(3*s, session.Event{Type: session.TypeExit, PID: 101, ExitCode: new(int)}),
		at(4*s, session.Event{Type: session.TypeStdin, Masked: 8}),
		at(5*s, session.Event{Type: session.TypeResize, Cols: 132, Rows: 50}),
		data(6*s, "stdout", "\x1b]0;evil title\x07\x1b]52;c;ZXZpbA==\x07\x1b[6n"), data(59*s, "stdout", "$ exit\r\n")); err != nil {
		return err
	}
	const h = time.Hour
	if err := make1(dir, pipe, end(h+2*s, session.Complete, 3),
		data(h, "stdout", "line one\n"), data(h+s, "stderr", "warning\n"),
		at(h+s, session.Event{Type: session.TypeLoss, Stream: session.Stdout, Bytes: 4096, Why: "ring full"}),
		data(h+s, "stdout", "line two\x00\xff\xfe\x9b6n\n")); err != nil {
		return err
	}
	if err := make1(dir, login, at(-23*h, session.Event{Type: session.TypeEnd, Status: session.Torn, Why: "recorder stopped"}),
		data(-24*h+s, "stdout", "hello\r\n")); err != nil {
		return err
	}
	if err := make1(dir, slow, end(3*h, session.Complete, 0),
		data(1*h, "stdout", "first "), data(2*h, "stdout", "second "), data(3*h, "stdout", "third ")); err != nil {
		return err
	}
	seed := `{"t":"2026-02-09T10:15:30.001Z","d":"stdin","b":"bHMgLWxhCg=="}
{"t":"2026-02-09T10:15:30.050Z","d":"stdout","b":"dG90YWwgMjQK"}
`
	return os.WriteFile(filepath.Join(dir, "exec_seed1.jsonl"), []byte(seed), 0o600)
}

func make1(dir string, m session.Meta, end session.Event, events ...session.Event) error {
	w, err := recording.Create(dir, m, recording.Options{})
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := w.Write(e); err != nil {
			return err
		}
	}
	_, err = w.End(end)
	return err
}

// command returns what a program wrote.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, errs.String())
	}
	return string(out)
}
