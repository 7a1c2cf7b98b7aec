package mask

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/kubetape/kubetape/internal/session"
)

// terminal is a real program on a real terminal, with a Mask that is fed with
// what passes.
type terminal struct {
	t    *testing.T
	ptmx *os.File

	mu    sync.Mutex // guards what is below
	mask  *Mask
	now   time.Time
	shown []byte // all output
	from  int    // end of what expect found last
	sent  []byte
	kept  []byte // all that was kept of the input
	gone  int    // bytes masked
	more  chan struct{}
	ended bool
}

// run starts argv on a terminal of 80 columns.
func run(t *testing.T, env []string, argv ...string) *terminal {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TERM=xterm-256color", "LANG=C.UTF-8",
		"PS1=READY> ", "INPUTRC=/dev/null", "HISTFILE=/dev/null",
	}, env...)
	cmd.Dir = cmd.Env[1][len("HOME="):]
	ptmx, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, ptmx: ptmx, mask: New(session.Masked), more: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.read()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		<-done // the kernel ends the read: nobody holds the other side
		_ = ptmx.Close()
	})
	return x
}

func (x *terminal) read() {
	b := make([]byte, 4096)
	for {
		n, err := x.ptmx.Read(b)
		x.mu.Lock()
		x.shown = append(x.shown, b[:n]...)
		x.take(x.mask.Output(x.tick(), b[:n]))
		x.ended = err != nil
		x.mu.Unlock()
		select {
		case x.more <- struct{}{}:
		default: // one is enough
		}
		if err != nil {
			return
		}
	}
}

// tick returns the time of the next event: one millisecond after the last, so
// that a busy machine is not taken for a silent program. The caller holds the
// mutex.
func (x *terminal) tick() time.Time {
	x.now = x.now.Add(time.Millisecond)
	return x.now
}

// take notes what was decided. The caller holds the mutex.
func (x *terminal) take(items []Item) {
	for _, i := range items {
		x.kept = append(x.kept, i.Data...)
		x.gone += i.Masked
	}
}

// expect waits until text is shown behind what was found last.
func (x *terminal) expect(text string) {
	x.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		x.mu.Lock()
		i := bytes.Index(x.shown[x.from:], []byte(text))
		if i >= 0 {
			x.from += i + len(text)
		}
		ended, tail := x.ended, string(x.shown[x.from:])
		x.mu.Unlock()
		switch {
		case i >= 0:
			return
		case ended:
			x.t.Fatalf("ended without %q after %q", text, tail)
		}
		select {
		case <-x.more:
		case <-deadline:
			x.t.Fatalf("no %q after %q", text, tail)
		}
	}
}

// send types one chunk.
func (x *terminal) send(text string) {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	tio, err := unix.IoctlGetTermios(int(x.ptmx.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	st := State{Echo: tio.Lflag&unix.ECHO != 0, Icanon: tio.Lflag&unix.ICANON != 0}
	x.take(x.mask.Input(x.tick(), []byte(text), st))
	x.sent = append(x.sent, text...)
	if _, err := x.ptmx.Write([]byte(text)); err != nil {
		x.t.Fatal(err)
	}
}

// keys types text a byte at a time, as fast as it goes.
func (x *terminal) keys(text string) {
	x.t.Helper()
	for i := range len(text) {
		x.send(text[i : i+1])
	}
}

// typed types text a character at a time, waiting for some output after each.
func (x *terminal) typed(text string) {
	x.t.Helper()
	for _, r := range text {
		x.mu.Lock()
		before := len(x.shown)
		x.mu.Unlock()
		x.send(string(r))
		x.moreThan(before)
	}
}

func (x *terminal) moreThan(n int) {
	x.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		x.mu.Lock()
		now := len(x.shown)
		x.mu.Unlock()
		if now > n {
			return
		}
		select {
		case <-x.more:
		case <-deadline:
			x.t.Fatalf("no output after byte %d", n)
		}
	}
}

// state waits until the terminal's ECHO and ICANON are as wanted: a prompt is
// shown before they are set.
func (x *terminal) state(echo, icanon bool) {
	x.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		tio, err := unix.IoctlGetTermios(int(x.ptmx.Fd()), unix.TCGETS)
		if err != nil {
			x.t.Fatal(err)
		}
		if (tio.Lflag&unix.ECHO != 0) == echo && (tio.Lflag&unix.ICANON != 0) == icanon {
			return
		}
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil) // the kernel has no signal for this
	}
	x.t.Fatal("the terminal's state did not change")
}

// result flushes and returns what was kept, and how much was masked.
func (x *terminal) result() (kept string, masked int) {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.take(x.mask.Flush())
	if got := len(x.kept) + x.gone; got != len(x.sent) {
		x.t.Errorf("%d bytes kept and %d masked of %d typed", len(x.kept), x.gone, len(x.sent))
	}
	if x.t.Failed() || testing.Verbose() {
		x.t.Logf("shown %q\n kept %q, masked %d", x.shown, x.kept, x.gone)
	}
	return string(x.kept), x.gone
}

// wantAll wants everything that was typed.
func (x *terminal) wantAll() {
	x.t.Helper()
	if kept, masked := x.result(); masked != 0 {
		x.t.Errorf("masked %d bytes\n kept %q\ntyped %q\nshown %q", masked, kept, x.sent, x.shown)
	}
}
