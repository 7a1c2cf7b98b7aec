package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// screenKept is how much of the latest output a Terminal keeps for Expect.
const screenKept = 1 << 20

// Terminal is a program that runs on a real terminal which this process holds
// the other end of. Type and Resize may be called from any goroutine; Expect
// and Wait from one.
type Terminal struct {
	cmd            *exec.Cmd
	master         *os.File
	sent, received meter
	stop           func()
	done           chan struct{} // closed when the output ended

	mu     sync.Mutex
	screen []byte        // latest output, not yet matched by Expect
	moved  chan struct{} // closed and renewed at each change of screen
	closed bool
}

// Window is what a terminal is at its start.
type Window struct {
	Cols, Rows int
	// Raw makes the terminal pass every byte as it is from the start. ctr needs
	// it: it leaves output processing on and would turn each "\n" of the session
	// into "\r\n" once more. ssh must not have it: it hands the mode that it finds
	// on to the other side.
	Raw bool
}

// Open starts cmd as leader of its own session on a new terminal. A Stderr that
// cmd has already keeps a client program's own messages out of the session's.
// When ctx ends the program is killed. Wait must be called.
func Open(ctx context.Context, cmd *exec.Cmd, w Window) (*Terminal, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open terminal: %w", err)
	}
	defer slave.Close()
	t := &Terminal{cmd: cmd, master: master, done: make(chan struct{}), moved: make(chan struct{})}
	err = t.Resize(w.Cols, w.Rows)
	if err == nil && w.Raw {
		err = makeRaw(slave)
	}
	if err != nil {
		master.Close()
		return nil, err
	}
	cmd.Stdin, cmd.Stdout = slave, slave
	if cmd.Stderr == nil {
		cmd.Stderr = slave
	}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if t.stop, err = startUnder(ctx, cmd); err != nil {
		master.Close()
		return nil, err
	}
	go t.read()
	return t, nil
}

// Type sends b as if typed.
func (t *Terminal) Type(b []byte) error {
	_, err := countTo{t.master, &t.sent}.Write(b)
	if err != nil {
		return fmt.Errorf("type: %w", err)
	}
	return nil
}

// Resize changes the size of the window; the program gets SIGWINCH.
func (t *Terminal) Resize(cols, rows int) error {
	if err := pty.Setsize(t.master, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)}); err != nil {
		return fmt.Errorf("resize terminal: %w", err)
	}
	return nil
}

// Expect waits until the output since the last Expect holds want, and forgets
// it up to there. It fails when the output or ctx ends first.
func (t *Terminal) Expect(ctx context.Context, want string) error {
	for {
		t.mu.Lock()
		i := bytes.Index(t.screen, []byte(want))
		if i >= 0 {
			t.screen = t.screen[i+len(want):]
			t.mu.Unlock()
			return nil
		}
		shown := t.last()
		moved, closed := t.moved, t.closed
		t.mu.Unlock()
		if closed {
			return fmt.Errorf("wait for %q: output ended with %s", want, shown)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for %q: %w, last output %s", want, context.Cause(ctx), shown)
		}
	}
}

// Last returns the end of the output, quoted, for an error message.
func (t *Terminal) Last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last()
}

func (t *Terminal) last() string {
	return fmt.Sprintf("%q", t.screen[max(0, len(t.screen)-200):])
}

// Wait waits for the program's end and for the last of its output.
func (t *Terminal) Wait() (Result, error) {
	err := t.cmd.Wait()
	t.stop()
	<-t.done
	t.master.Close()
	res := Result{Sent: t.sent.sum(), Received: t.received.sum(), Errors: SumOf(nil), ExitCode: t.cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return res, fmt.Errorf("wait for %s: %w", t.cmd.Path, err)
	}
	return res, nil
}

// read takes the output until the last holder of the slave closed it, which a
// master reads as EIO.
func (t *Terminal) read() {
	defer close(t.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := t.master.Read(buf)
		t.received.count(buf[:n])
		t.mu.Lock()
		t.screen = append(t.screen, buf[:n]...)
		if over := len(t.screen) - screenKept; over > 0 {
			t.screen = t.screen[over:]
		}
		t.closed = err != nil
		close(t.moved)
		t.moved = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// makeRaw does what cfmakeraw(3) does. Output processing is off too: ctr puts
// OPOST back when it makes its terminal raw, and must find nothing to process.
func makeRaw(f *os.File) error {
	tio, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return fmt.Errorf("read terminal mode: %w", err)
	}
	tio.Iflag = 0
	tio.Oflag = 0
	tio.Lflag = 0
	tio.Cflag = tio.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	tio.Cc[unix.VMIN], tio.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, tio); err != nil {
		return fmt.Errorf("set terminal mode: %w", err)
	}
	return nil
}
