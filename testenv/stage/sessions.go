package stage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"

	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/testenv/client"
	"github.com/kubetape/kubetape/testenv/compare"
	"github.com/kubetape/kubetape/testenv/pattern"
)

// Step is one thing a user does on a terminal: wait for Expect, think for Pause,
// then resize, then type. Empty ones are left out. Pause is no way to wait for a
// program: it is for what a recorder may treat otherwise when nobody could have
// typed so fast.
type Step struct {
	Expect     string
	Pause      time.Duration
	Cols, Rows int
	Type       string
}

// Play opens cmd on a terminal and takes the steps on it. It returns what the
// client saw once the program ended.
func Play(ctx context.Context, cmd *exec.Cmd, w client.Window, steps []Step) (client.Result, error) {
	term, err := client.Open(ctx, cmd, w)
	if err != nil {
		return client.Result{}, err
	}
	var failed error
	for _, s := range steps {
		if failed = take(ctx, term, s); failed != nil {
			_ = cmd.Process.Kill() // it would wait for input for ever
			break
		}
	}
	res, err := term.Wait()
	if failed != nil {
		return res, failed
	}
	return res, err
}

func take(ctx context.Context, term *client.Terminal, s Step) error {
	if s.Expect != "" {
		if err := term.Expect(ctx, s.Expect); err != nil {
			return err
		}
	}
	if s.Pause > 0 {
		thought := time.NewTimer(s.Pause)
		defer thought.Stop()
		select {
		case <-thought.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if s.Cols > 0 {
		if err := term.Resize(s.Cols, s.Rows); err != nil {
			return err
		}
	}
	if s.Type != "" {
		return term.Type([]byte(s.Type))
	}
	return nil
}

// untilSize is a shell line that waits until the terminal has that size, and
// says so in words that do not stand in the line itself.
func untilSize(cols, rows int) string {
	return fmt.Sprintf("until [ \"$(stty size)\" = '%d %d' ]; do :; done; echo si''ze is %dx%d\n", rows, cols, cols, rows)
}

// InteractiveExec is a shell in the box on a terminal, with a resize.
func (s *Stage) InteractiveExec(ctx context.Context) (compare.Held, error) {
	res, err := Play(ctx, s.Containerd.Exec(s.Box, true, "/bin/sh"), client.Window{Cols: 100, Rows: 30, Raw: true}, []Step{
		// ctr listens for resizes only after it set the first size: a resize before that
		// is lost on the way.
		{Expect: "# ", Type: untilSize(100, 30)},
		{Expect: "size is 100x30\r\n"},
		{Expect: "# ", Type: "echo hello from a container; ls /\n"},
		{Expect: "usr\r\n"},
		{Expect: "# ", Cols: 132, Rows: 43, Type: untilSize(132, 43)},
		{Expect: "size is 132x43\r\n"},
		{Expect: "# ", Type: "cat /etc/passwd\n"},
		{Expect: "nobody:/:/bin/sh\r\n"},
		{Expect: "# ", Type: "exit 7\n"},
	})
	h := compare.Held{Name: "interactive exec", Kind: session.Exec, TTY: true, Container: s.Box, Argv: "/bin/sh", Result: res}
	return h, wrap(h.Name, err)
}

// PipedExec sends random bytes into the box and gets them back on stdout, with
// others on stderr.
func (s *Stage) PipedExec(ctx context.Context) (compare.Held, error) {
	const n = 256 << 10
	in, err := io.ReadAll(pattern.Bytes(17, n))
	if err != nil {
		return compare.Held{}, err
	}
	cmd := s.Containerd.Exec(s.Box, false, "/bin/sh", "-c", "workload cat; workload emit -stderr "+strconv.Itoa(n)+" 18")
	res, err := client.Pipe(ctx, cmd, client.Streams{Stdin: bytes.NewReader(in)})
	h := compare.Held{Name: "piped exec", Kind: session.Exec, Container: s.Box, Argv: "workload cat", Result: res}
	if err == nil && res.Received != client.SumOf(in) {
		err = fmt.Errorf("sent %+v, got back %+v", client.SumOf(in), res.Received)
	}
	return h, wrap(h.Name, err)
}

// Login is a login to this machine by ssh, on a terminal.
func (s *Stage) Login(ctx context.Context) (compare.Held, error) {
	res, err := Play(ctx, s.SSHD.SSH(true), client.Window{Cols: 90, Rows: 25}, []Step{
		{Expect: "# ", Type: "echo hello from the no''de\n"},
		{Expect: "hello from the node\r\n"},
		{Expect: "# ", Type: "exit\n"},
	})
	h := compare.Held{Name: "ssh login", Kind: session.Shell, TTY: true, Peer: "127.0.0.1:", Result: res}
	return h, wrap(h.Name, err)
}

// Command is a command given to ssh, without a terminal.
func (s *Stage) Command(ctx context.Context) (compare.Held, error) {
	in, err := io.ReadAll(pattern.Bytes(19, 100_000))
	if err != nil {
		return compare.Held{}, err
	}
	cmd := s.SSHD.SSH(false, "cat; echo apart >&2; exit 3")
	res, err := client.Pipe(ctx, cmd, client.Streams{Stdin: bytes.NewReader(in)})
	h := compare.Held{Name: "ssh command", Kind: session.Shell, Peer: "127.0.0.1:", Result: res}
	return h, wrap(h.Name, err)
}

// Nsenter is a shell in the box's namespaces that no runtime was asked for.
func (s *Stage) Nsenter(ctx context.Context) (compare.Held, error) {
	pid, err := s.Containerd.InitPID(ctx, s.Box)
	if err != nil {
		return compare.Held{}, err
	}
	cmd := exec.Command("nsenter", "--target", strconv.Itoa(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "/bin/sh")
	res, err := Play(ctx, cmd, client.Window{Cols: 80, Rows: 24}, []Step{
		{Expect: "# ", Type: "echo nobody asked the run''time\n"},
		{Expect: "runtime\r\n"},
		{Expect: "# ", Type: "exit\n"},
	})
	h := compare.Held{Name: "nsenter", Kind: session.Exec, TTY: true, Container: s.Box, Result: res}
	return h, wrap(h.Name, err)
}

func wrap(name string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
