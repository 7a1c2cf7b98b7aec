package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/store"
	"github.com/kubetape/kubetape/testenv/client"
	"github.com/kubetape/kubetape/testenv/compare"
	"github.com/kubetape/kubetape/testenv/containerd"
	"github.com/kubetape/kubetape/testenv/pattern"
	"github.com/kubetape/kubetape/testenv/stage"
)

// everything keeps all that was typed, so that it can be compared.
const everything = "stdin: full\n"

// exact is a session whose recording must have every byte.
type exact struct {
	name  string
	hold  func(ctx context.Context, s *stage.Stage) (compare.Held, error)
	check func(t *testing.T, e store.Entry) // further demands; may be nil
}

// exacts are all of them: a new case is a new row.
var exacts = []exact{
	{"a shell in a container, resized in the middle", on((*stage.Stage).InteractiveExec), resizedTo(132, 43)},
	{"random bytes through three pipes", on((*stage.Stage).PipedExec), nil},
	{"an exec that reads nothing and says nothing", quiet, nil},
	{"a megabyte of random bytes typed at a raw terminal", typed(1 << 20), nil},
	{"a login by ssh", on((*stage.Stage).Login), hasPeer},
	{"a command given to ssh", on((*stage.Stage).Command), hasPeer},
	{"a file copied by scp", copied(false), holdsFile},
	{"a file copied by sftp", copied(true), hasPeer},
	{"a shell by nsenter", on((*stage.Stage).Nsenter), nil},
	{"a container started on a terminal", attached, nil},
	{"a container started with an open stdin", attachedPipe, nil},
	shown("write", "emit"),
	shown("writev", "writev"),
	shown("sendfile", "sendfile"),
	shown("splice", "splice"),
	shown("io_uring", "io_uring"),
	shown("a pty of its own", "openpty"),
	shown("a process named like the shim", "rename containerd-shim emit"),
	shown("a grandchild without parent", "doublefork emit"),
	piped("write", "emit"),
	piped("writev", "writev"),
	piped("sendfile", "sendfile"),
	piped("splice", "splice"),
	piped("io_uring", "io_uring"),
	piped("a process named like the shim", "rename containerd-shim emit"),
	piped("a grandchild without parent", "doublefork emit"),
	piped("a process that outlives its parent", "outlive emit"),
}

// TestHarness holds the sessions without a recorder: what the clients count is
// what the programs say. A case that fails here says nothing of the recorder.
func TestHarness(t *testing.T) {
	ctx, s := set(t, 5*time.Minute)
	for _, c := range exacts {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if _, err := c.hold(ctx, s); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestExact holds the sessions with a recorder and compares.
func TestExact(t *testing.T) {
	ctx, s := set(t, 5*time.Minute)
	r := record(t, ctx, s, everything)
	held := make([]compare.Held, len(exacts))
	for i, c := range exacts {
		var err error
		if held[i], err = c.hold(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	entries := recorded(t, ctx, r, len(exacts))
	for i, c := range exacts {
		t.Run(c.name, func(t *testing.T) {
			e, ok := find(t, entries, held[i])
			if ok && c.check != nil {
				c.check(t, e)
			}
		})
	}
	mine := 0
	for _, e := range entries {
		if strings.HasSuffix(e.Meta.ContainerID, s.Containerd.Namespace) {
			mine++
		}
	}
	inContainers := 0
	for _, h := range held {
		if h.Container != "" {
			inContainers++
		}
	}
	if mine != inContainers {
		t.Errorf("%d recordings of %d sessions in containers", mine, inContainers)
	}
}

func on(hold func(*stage.Stage, context.Context) (compare.Held, error)) func(context.Context, *stage.Stage) (compare.Held, error) {
	return func(ctx context.Context, s *stage.Stage) (compare.Held, error) { return hold(s, ctx) }
}

func must(r io.Reader) []byte {
	b, err := io.ReadAll(r)
	if err != nil {
		panic(err) // a pattern does not fail
	}
	return b
}

func quiet(ctx context.Context, s *stage.Stage) (compare.Held, error) {
	res, err := client.Pipe(ctx, s.Containerd.Exec(s.Box, false, "workload", "exit", "9"), client.Streams{})
	if err == nil && res.ExitCode != 9 {
		err = fmt.Errorf("exit code %d", res.ExitCode)
	}
	return compare.Held{Name: "quiet", Kind: session.Exec, Container: s.Box, Argv: "workload exit 9", Result: res}, err
}

// wayBytes is how much a program writes in each of its ways; seeds keep two ways
// from writing the same.
const wayBytes = 300_000

var seed = func() func() uint64 {
	n := uint64(1000)
	return func() uint64 { n++; return n }
}()

// shown is a program that writes to a raw terminal in some way.
func shown(what, way string) exact {
	seed := seed()
	return exact{"a terminal: " + what, func(ctx context.Context, s *stage.Stage) (compare.Held, error) {
		args := strings.Fields(fmt.Sprintf("workload raw %s %d %d", way, wayBytes, seed))
		res, err := stage.Play(ctx, s.Containerd.Exec(s.Box, true, args...), client.Window{Cols: 80, Rows: 24, Raw: true}, nil)
		if want := client.SumOf(must(pattern.Bytes(seed, wayBytes))); err == nil && res.Received != want {
			err = fmt.Errorf("%s: got %+v, want %+v", way, res.Received, want)
		}
		return compare.Held{Name: way, Kind: session.Exec, TTY: true, Container: s.Box, Argv: strings.Join(args, " "), Result: res}, err
	}, nil}
}

// piped is a program that writes to a pipe in some way.
func piped(what, way string) exact {
	seed := seed()
	return exact{"a pipe: " + what, func(ctx context.Context, s *stage.Stage) (compare.Held, error) {
		args := strings.Fields(fmt.Sprintf("workload %s %d %d", way, wayBytes, seed))
		res, err := client.Pipe(ctx, s.Containerd.Exec(s.Box, false, args...), client.Streams{})
		if want := client.SumOf(must(pattern.Bytes(seed, wayBytes))); err == nil && res.Received != want {
			err = fmt.Errorf("%s: got %+v, want %+v", way, res.Received, want)
		}
		return compare.Held{Name: way, Kind: session.Exec, Container: s.Box, Argv: strings.Join(args, " "), Result: res}, err
	}, nil}
}

// typed types n random bytes at a raw terminal; a program takes them and shows
// their digest.
func typed(n int64) func(context.Context, *stage.Stage) (compare.Held, error) {
	return func(ctx context.Context, s *stage.Stage) (compare.Held, error) {
		in := must(pattern.Bytes(77, n))
		script := fmt.Sprintf("stty raw -echo; echo ready; head -c %d | sha256sum; echo done", n)
		res, err := stage.Play(ctx, s.Containerd.Exec(s.Box, true, "/bin/sh", "-c", script), client.Window{Cols: 80, Rows: 24, Raw: true}, []stage.Step{
			{Expect: "ready", Type: string(in)},
			{Expect: client.SumOf(in).SHA256},
			{Expect: "done"},
		})
		return compare.Held{Name: "typed", Kind: session.Exec, TTY: true, Container: s.Box, Argv: "stty raw", Result: res}, err
	}
}

// theFile is what is copied.
var theFile = must(pattern.Bytes(78, 200_000))

// copied copies a file to this machine. What goes over the wire is scp's own
// business, so the streams are not compared with anything.
func copied(sftp bool) func(context.Context, *stage.Stage) (compare.Held, error) {
	return func(ctx context.Context, s *stage.Stage) (compare.Held, error) {
		h := compare.Held{Name: "copy", Kind: session.Shell, Peer: "127.0.0.1:", Argv: "scp", Unseen: session.Streams[:], AnyExit: true}
		if sftp {
			h.Argv = "sftp-server"
		}
		dir, err := os.MkdirTemp(s.Dir, "copy-")
		if err != nil {
			return h, err
		}
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		if err := os.WriteFile(from, theFile, 0o600); err != nil {
			return h, err
		}
		cmd := s.SSHD.Upload(sftp, from, to)
		if out, err := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...).CombinedOutput(); err != nil {
			return h, fmt.Errorf("%w: %s", err, out)
		}
		got, err := os.ReadFile(to)
		if err == nil && !bytes.Equal(got, theFile) {
			err = errors.New("the copy differs")
		}
		return h, err
	}
}

func attached(ctx context.Context, s *stage.Stage) (compare.Held, error) {
	c := containerd.Container{ID: s.ID(fmt.Sprint("tty-", seed())), Image: stage.Image, TTY: true, Argv: []string{"/bin/sh"}}
	res, err := stage.Play(ctx, s.Containerd.Attached(c), client.Window{Cols: 80, Rows: 24, Raw: true}, []stage.Step{
		{Expect: "# ", Type: "echo first pro''cess\n"},
		{Expect: "first process\r\n", Type: "exit 4\n"},
	})
	return compare.Held{Name: "attached", Kind: session.Attach, TTY: true, Container: c.ID, Result: res}, err
}

func attachedPipe(ctx context.Context, s *stage.Stage) (compare.Held, error) {
	in := must(pattern.Bytes(79, 150_000))
	c := containerd.Container{ID: s.ID(fmt.Sprint("pipe-", seed())), Image: stage.Image, Argv: []string{"/bin/head", "-c", fmt.Sprint(len(in))}}
	res, err := client.Pipe(ctx, s.Containerd.Attached(c), client.Streams{Stdin: bytes.NewReader(in)})
	if want := client.SumOf(in); err == nil && res.Received != want {
		err = fmt.Errorf("got %+v, want %+v", res.Received, want)
	}
	return compare.Held{Name: "attached by pipes", Kind: session.Attach, Container: c.ID, Result: res}, err
}

// events reads all events of one type.
func events(t *testing.T, e store.Entry, want session.Type, each func(session.Event)) {
	t.Helper()
	r, err := recording.Open(e.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		ev, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if ev.Type == want {
			each(ev)
		}
	}
}

func resizedTo(cols, rows int) func(*testing.T, store.Entry) {
	return func(t *testing.T, e store.Entry) {
		var got []string
		events(t, e, session.TypeResize, func(ev session.Event) { got = append(got, fmt.Sprintf("%dx%d", ev.Cols, ev.Rows)) })
		if want := fmt.Sprintf("%dx%d", cols, rows); len(got) == 0 || got[len(got)-1] != want {
			t.Errorf("sizes %v, want %s last", got, want)
		}
	}
}

func hasPeer(t *testing.T, e store.Entry) {
	if !strings.HasPrefix(e.Meta.Peer, "127.0.0.1:") {
		t.Errorf("peer is %q, want a port of 127.0.0.1", e.Meta.Peer)
	}
}

func holdsFile(t *testing.T, e store.Entry) {
	hasPeer(t, e)
	var in []byte
	events(t, e, session.TypeStdin, func(ev session.Event) { in = append(in, ev.Data...) })
	if !bytes.Contains(in, theFile) {
		t.Errorf("the %d bytes of stdin do not hold the file", len(in))
	}
}
