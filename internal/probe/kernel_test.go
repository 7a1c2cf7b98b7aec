package probe

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/require"
)

// patience bounds what a test waits for; nothing takes nearly as long.
const patience = 30 * time.Second

// settings are for a probe that takes children of this test without a terminal
// for logins.
func settings(t *testing.T) Config {
	t.Helper()
	require.BPF(t)
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		PinDir: filepath.Join(t.TempDir(), "pins"), RingBytes: 8 << 20,
		Logins: []string{strings.TrimSpace(string(comm))}, Procfs: "/proc",
	}
}

// openProbe opens one that sees streams. The test's end unloads it.
func openProbe(t *testing.T, c Config) *Probe {
	t.Helper()
	p, err := Open(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Unload(), p.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := p.Arm(); err != nil {
		t.Fatal(err)
	}
	return p
}

// heard is what came through the ring of one session.
type heard struct {
	sid     uint64
	enter   kevent.Program
	begun   bool
	data    [3][]byte
	lost    [3]uint64 // by gaps between offsets, and unseen
	next    [3]uint64
	terms   []kevent.Term // of inputs
	execs   []kevent.Program
	resizes [][2]uint16
	eof     [3]bool
	exited  bool
	code    uint32
	unborn  bool
}

// ear listens to the whole machine and sorts by session.
type ear struct {
	t   *testing.T
	p   *Probe
	all map[uint64]*heard
}

func listen(t *testing.T, p *Probe) *ear { return &ear{t: t, p: p, all: map[uint64]*heard{}} }

// until takes events until done says so.
func (e *ear) until(done func() bool) {
	e.t.Helper()
	end := time.Now().Add(patience)
	var ev kevent.Event
	for !done() {
		// done may also wait for something that comes without an event.
		_, err := e.p.Next(time.Now().Add(50*time.Millisecond), &ev)
		if errors.Is(err, ErrTimeout) && time.Now().Before(end) {
			continue
		}
		if err != nil {
			e.t.Fatalf("waiting for an event: %v", err)
		}
		e.take(&ev)
	}
}

// drain takes what is in the ring now.
func (e *ear) drain() {
	e.t.Helper()
	var ev kevent.Event
	for e.p.Waiting() > 0 {
		if _, err := e.p.Next(time.Now().Add(patience), &ev); err != nil {
			e.t.Fatal(err)
		}
		e.take(&ev)
	}
}

func (e *ear) take(ev *kevent.Event) {
	if ev.Session == 0 {
		return
	}
	h := e.all[ev.Session]
	if h == nil {
		h = &heard{sid: ev.Session}
		e.all[ev.Session] = h
	}
	switch ev.Type {
	case kevent.Enter:
		h.begun, h.enter = true, ev.Program
		h.enter.Argv = slices.Clone(ev.Program.Argv)
	case kevent.Data, kevent.Unseen:
		i := ev.Stream
		if ev.Off < h.next[i] {
			e.t.Errorf("bytes %d of stream %d come after byte %d", ev.Off, i, h.next[i])
		}
		h.lost[i] += ev.Off - h.next[i]
		h.next[i] = ev.Off + ev.Len
		if ev.Type == kevent.Unseen {
			h.lost[i] += ev.Len
			return
		}
		h.data[i] = append(h.data[i], ev.Bytes...)
		if i == 0 {
			h.terms = append(h.terms, ev.Term)
		}
	case kevent.EOF:
		h.eof[ev.Stream] = true
	case kevent.Exec:
		p := ev.Program
		p.Argv = slices.Clone(p.Argv)
		h.execs = append(h.execs, p)
	case kevent.Exit:
		if ev.First {
			h.exited, h.code = true, ev.Code
		}
	case kevent.Resize:
		h.resizes = append(h.resizes, [2]uint16{ev.Cols, ev.Rows})
	case kevent.Unborn:
		h.unborn = true
	}
}

// of returns the session whose first process is pid, or an empty one.
func (e *ear) of(pid int) *heard {
	for _, h := range e.all {
		if h.begun && h.enter.PID == pid {
			return h
		}
	}
	return &heard{}
}

// over waits for the end of the session that pid began.
func (e *ear) over(pid int, outputs ...int) *heard {
	e.t.Helper()
	e.until(func() bool {
		h := e.of(pid)
		for _, i := range outputs {
			if !h.eof[i] {
				return false
			}
		}
		return h.exited
	})
	return e.of(pid)
}

// terminal is a session leader on a pseudo-terminal that this test holds.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	shown  bytes.Buffer
	typed  bytes.Buffer
}

func startTerminal(t *testing.T, script string) *terminal {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	return &terminal{t: t, cmd: cmd, master: master}
}

// expect reads until the terminal has shown text.
func (s *terminal) expect(text string) {
	s.t.Helper()
	buf := make([]byte, 4096)
	if err := s.master.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	for !strings.Contains(s.shown.String(), text) {
		n, err := s.master.Read(buf)
		s.shown.Write(buf[:n])
		if err != nil {
			s.t.Fatalf("waiting for %q: %v; shown: %q", text, err, s.shown.String())
		}
	}
}

func (s *terminal) typeIn(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
	s.typed.WriteString(text)
}

// end reads to the hang-up and waits for the process.
func (s *terminal) end() {
	s.t.Helper()
	_, err := io.Copy(&s.shown, s.master)
	if err != nil && !errors.Is(err, unix.EIO) {
		s.t.Fatal(err)
	}
	_ = s.cmd.Wait() // the status is what the tests compare with the kernel's
}

// pipes runs a login without a terminal, as sshd does.
func pipes(t *testing.T, stdin []byte, script string) (cmd *exec.Cmd, stdout, stderr []byte) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd = exec.Command("/bin/sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		var status *exec.ExitError
		if !errors.As(err, &status) {
			t.Fatal(err)
		}
	}
	return cmd, out.Bytes(), errs.Bytes()
}

// sum checks that what came through and what is known to be lost is what the
// kernel counted, which is what passed.
func (h *heard) sum(t *testing.T, p *Probe, passed [3]int) {
	t.Helper()
	if _, err := p.Stop(map[uint64]bool{h.sid: true}); err != nil {
		t.Fatal(err)
	}
	l, ok := p.Lookup(h.sid)
	if !ok {
		t.Fatal("the kernel does not know the session any more")
	}
	for i := range l.Total {
		got := uint64(len(h.data[i])) + h.lost[i] + l.Total[i] - h.next[i]
		if got != l.Total[i] || l.Total[i] != uint64(passed[i]) {
			t.Errorf("stream %d: %d bytes came or are known to be lost, the kernel counted %d, %d passed", i, got, l.Total[i], passed[i])
		}
		if lost := h.lost[i] + l.Total[i] - h.next[i]; lost != l.Dropped[i] {
			t.Errorf("stream %d: %d bytes missing, the kernel dropped %d", i, lost, l.Dropped[i])
		}
	}
}
