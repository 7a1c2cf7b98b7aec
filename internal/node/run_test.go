package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/kubetape/kubetape/internal/probe"
	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/require"
	"github.com/kubetape/kubetape/internal/session"
)

// house is a configuration of this test's own.
func house(t *testing.T) Config {
	t.Helper()
	require.BPF(t)
	c := Default()
	c.Recordings, c.Capture.Pins = filepath.Join(t.TempDir(), "recordings"), filepath.Join(t.TempDir(), "pins")
	c.Capture.Ring, c.KeepCapabilities, c.Listen = 1<<20, true, "off"
	t.Cleanup(func() { // of what a failed test left
		if _, err := probe.Unload(c.Capture.Pins, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	})
	c.Capture.IdleDetach = 0 // the first session must not be late on a busy machine
	return c
}

// record runs the recorder and returns when it is ready. stop ends it.
func record(t *testing.T, c Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	var log locked
	go func() {
		done <- Run(ctx, c, Hooks{Ready: func() { close(ready) }}, slog.New(slog.NewTextHandler(&log, nil)))
	}()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := log.String(); strings.Contains(got, "s3cret") {
			t.Error("captured bytes are in the log")
		}
	})
	t.Cleanup(stop)
	return stop
}

type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// login is a session leader on a pseudo-terminal that this test holds.
type login struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	shown  bytes.Buffer
}

func logIn(t *testing.T, script string) *login {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	master, err := pty.StartWithAttrs(cmd, &pty.Winsize{Rows: 30, Cols: 90}, cmd.SysProcAttr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	return &login{t: t, cmd: cmd, master: master}
}

func (l *login) expect(text string) {
	l.t.Helper()
	buf := make([]byte, 4096)
	if err := l.master.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		l.t.Fatal(err)
	}
	for !strings.Contains(l.shown.String(), text) {
		n, err := l.master.Read(buf)
		l.shown.Write(buf[:n])
		if err != nil {
			l.t.Fatalf("waiting for %q: %v; shown: %q", text, err, l.shown.String())
		}
	}
}

func (l *login) typeIn(text string) {
	l.t.Helper()
	if _, err := l.master.WriteString(text); err != nil {
		l.t.Fatal(err)
	}
}

func (l *login) end() {
	l.t.Helper()
	if _, err := io.Copy(&l.shown, l.master); err != nil && !errors.Is(err, unix.EIO) {
		l.t.Fatal(err)
	}
	_ = l.cmd.Wait() // its status is in the recording
}

// recorded returns the one recording of a login and its events.
func (l *login) recorded(dir string) (recording.Info, []session.Event) {
	l.t.Helper()
	var found []recording.Info
	paths, err := filepath.Glob(filepath.Join(dir, "*.jsonl.zst*"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, path := range paths {
		info, err := recording.ReadInfo(path)
		if err != nil {
			l.t.Errorf("%s: %v", path, err)
		}
		if info.Meta.PID == l.cmd.Process.Pid {
			found = append(found, info)
		}
	}
	if len(found) != 1 {
		l.t.Fatalf("%d recordings of one login", len(found))
	}
	r, err := recording.Open(found[0].Path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer r.Close()
	var events []session.Event
	for {
		ev, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, recording.ErrTorn) {
			return found[0], events
		}
		if err != nil {
			l.t.Fatal(err)
		}
		ev.Data = bytes.Clone(ev.Data)
		events = append(events, ev)
	}
}

func text(events []session.Event, s session.Stream) string {
	var b []byte
	for _, e := range events {
		if e.Type.Stream() == s {
			b = append(b, e.Data...)
		}
	}
	return string(b)
}

func has(events []session.Event, t session.Type) bool {
	for _, e := range events {
		if e.Type == t {
			return true
		}
	}
	return false
}

func TestLoginIsRecordedWithItsSecretMaskedAndMetricsTellOfIt(t *testing.T) {
	c := house(t)
	c.Node, c.Listen = "n1", freePort(t)
	stop := record(t, c)
	if code, body := get(t, c.Listen, "/readyz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("ready: %d %q", code, body)
	}
	l := logIn(t, `printf 'name? '; read a; stty -echo; printf 'password? '; read b; stty echo; echo; echo "hello $a"; exit 4`)
	l.expect("name? ")
	l.typeIn("me\n")
	l.expect("password? ")
	l.typeIn("s3cret\n")
	l.end()
	if code, body := get(t, c.Listen, "/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("healthy: %d %q", code, body)
	}
	code, body := get(t, c.Listen, "/metrics")
	for _, want := range []string{
		"kubetape_sessions_open ", `kubetape_sessions_begun_total{kind="shell"} `, `kubetape_sessions_ended_total{status="torn"} `,
		`kubetape_stream_bytes_total{stream="stdout"} `, "kubetape_stream_lost_bytes_total ", "kubetape_ring_dropped_records_total ",
		`kubetape_capture_flavour_info{flavour="syscall"} 1`, "kubetape_capture_attached 1", "# HELP kubetape_stream_masked_bytes_total ",
	} {
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("metrics (%d) have no %q", code, want)
		}
	}
	if code, _ := get(t, c.Listen, "/elsewhere"); code != http.StatusNotFound {
		t.Errorf("elsewhere: %d", code)
	}
	stop()

	info, events := l.recorded(c.Recordings)
	if info.Status != session.Complete || info.ExitCode == nil || *info.ExitCode != 4 {
		t.Errorf("it ended %s, %v, %q", info.Status, info.ExitCode, info.Why)
	}
	if m := info.Meta; m.Kind != session.Shell || m.Node != "n1" || !m.TTY || m.Cols != 90 || m.Rows != 30 || len(m.Origin) == 0 || m.Origin[0].PID != os.Getpid() {
		t.Errorf("header is %+v", m)
	}
	if got := text(events, session.Stdout); got != l.shown.String() {
		t.Errorf("recorded %q, shown %q", got, l.shown.String())
	}
	if got := text(events, session.Stdin); got != "me\n" || info.Streams[session.Stdin].Masked != 7 {
		t.Errorf("kept of stdin %q, masked %d", got, info.Streams[session.Stdin].Masked)
	}
	if !has(events, session.TypeExec) || !has(events, session.TypeExit) {
		t.Error("no processes are recorded")
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func get(t *testing.T, addr, path string) (int, string) {
	t.Helper()
	r, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestSuccessorGoesOnWithTheRecording(t *testing.T) {
	c := house(t)
	c.Capture.KeepOnStop = true
	stop := record(t, c)
	l := logIn(t, `printf 'one? '; read a; printf 'two? '; read b; echo "$a $b"`)
	l.expect("one? ")
	l.typeIn("1\n")
	l.expect("two? ")
	stop()
	if info, _ := l.recorded(c.Recordings); info.Status != session.Open {
		t.Errorf("between the two it is %s", info.Status)
	}
	l.typeIn("2\n") // while nobody is there
	l.end()
	c.Capture.KeepOnStop = false
	stop = record(t, c)
	stop()
	info, events := l.recorded(c.Recordings)
	if info.Status != session.Complete || !has(events, session.TypeResume) {
		t.Errorf("it ended %s (%s), resumed %v", info.Status, info.Why, has(events, session.TypeResume))
	}
	if got := text(events, session.Stdout); got != l.shown.String() {
		t.Errorf("recorded %q, shown %q", got, l.shown.String())
	}
	if got := text(events, session.Stdin); got != "1\n2\n" {
		t.Errorf("stdin is %q", got)
	}
}

func TestStopWhileALoginIsOpenTearsIt(t *testing.T) {
	c := house(t)
	stop := record(t, c)
	l := logIn(t, `printf 'still here? '; read a`)
	l.expect("here? ")
	stop()
	info, events := l.recorded(c.Recordings)
	if info.Status != session.Torn || info.Why != "recorder was stopped" {
		t.Errorf("it ended %s, %q", info.Status, info.Why)
	}
	if got := text(events, session.Stdout); got != "still here? " {
		t.Errorf("recorded %q", got)
	}
	l.typeIn("\n")
	l.end()
}

func TestWhatAnEarlierRecorderLeftIsClosedOrSetAside(t *testing.T) {
	c := house(t)
	if err := os.Mkdir(c.Recordings, 0o700); err != nil {
		t.Fatal(err)
	}
	good := header()
	good.Key = "another-boot/7"
	w, err := recording.Create(c.Recordings, good, recording.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(out(0, "kept")), w.Sync(), w.Abandon()); err != nil {
		t.Fatal(err)
	}
	garbage, empty := header().ID, header().ID
	for id, b := range map[session.ID]string{garbage: "not a recording", empty: ""} {
		if err := os.WriteFile(filepath.Join(c.Recordings, string(id)+recording.PartSuffix), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	record(t, c)()
	if info, o := sum(t, c.Recordings, good.ID); info.Status != session.Torn || o.Bytes != 4 {
		t.Errorf("what is good was closed %s with %+v", info.Status, o)
	}
	if b, err := os.ReadFile(filepath.Join(c.Recordings, string(garbage)+".unreadable")); err != nil || string(b) != "not a recording" {
		t.Errorf("what is not was set aside as %q, %v", b, err)
	}
	if left, err := filepath.Glob(filepath.Join(c.Recordings, "*"+recording.PartSuffix)); err != nil || len(left) != 0 {
		t.Errorf("left open: %v, %v", left, err)
	}
}

func TestTwoRecordersDoNotShareADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a/b")
	unlock, err := prepare(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prepare(dir); !errors.Is(err, ErrRunning) {
		t.Errorf("the second got %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = prepare(dir)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".try-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
