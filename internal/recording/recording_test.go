package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/require"
	"github.com/kubetape/kubetape/internal/session"
)

var start = time.Date(2026, 2, 9, 10, 15, 30, 1234000, time.UTC)

func meta() session.Meta {
	uid := 0
	return session.Meta{
		V: 1, ID: "exec_01jkn3w8zv5q2m7d9b4x6c8e0f", Kind: session.Exec, Observer: session.Node, StartedAt: start,
		Node: "node-1", Namespace: "payments", Pod: "api-7d4b8f6c9", Container: "app",
		Argv: []session.Text{"/bin/sh", "-c", "echo \xff<&>"}, TTY: true, Cols: 120, Rows: 40, UID: &uid,
	}
}

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// sample is a session with an event of every type.
func sample() []session.Event {
	one := 1
	return []session.Event{
		{T: at(0), Type: session.TypeStdout, Data: []byte("$ ")},
		{T: at(100), Type: session.TypeStdin, Data: []byte("ls\r")},
		{T: at(101), Type: session.TypeStdout, Data: []byte("ls\r\n\x1b[31m\xff\x00\xfe\r\n")},
		{T: at(102), Type: session.TypeExec, PID: 4711, PPID: 4700, UID: 1000, Argv: []session.Text{"ls", "\x80"}, ArgvCut: 3},
		{T: at(110), Type: session.TypeExit, PID: 4711, ExitCode: &one},
		{T: at(111), Type: session.TypeExit, PID: 4712, Signal: 9},
		{T: at(200), Type: session.TypeResize, Cols: 132, Rows: 43},
		{T: at(300), Type: session.TypeStdin, Masked: 8},
		{T: at(301), Type: session.TypeResume, Why: "restart"},
		{T: at(400), Type: session.TypeStderr, Data: []byte("oops\n")},
		{T: at(401), Type: session.TypeStdout, Data: []byte{}},
	}
}

func loss(ms int) session.Event {
	return session.Event{T: at(ms), Type: session.TypeLoss, Stream: session.Stdout, Bytes: 4096, Why: "ring full"}
}

func create(t testing.TB, dir string, o Options) *Writer {
	t.Helper()
	w, err := Create(dir, meta(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Abandon() })
	return w
}

func write(t testing.TB, w *Writer, evs ...session.Event) {
	t.Helper()
	for _, ev := range evs {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
}

func end(t testing.TB, w *Writer) Summary {
	t.Helper()
	code := 0
	s, err := w.End(session.Event{T: at(5000), Status: session.Complete, ExitCode: &code})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readAll reads to the first error.
func readAll(r *Reader) (evs []session.Event, err error) {
	for {
		ev, err := r.Next()
		if err != nil {
			return evs, err
		}
		ev.Data = bytes.Clone(ev.Data)
		if ev.Data == nil && ev.Type.Stream() != "" && ev.Masked == 0 {
			ev.Data = []byte{}
		}
		evs = append(evs, ev)
	}
}

func open(t testing.TB, path string) *Reader {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func same(t *testing.T, got, want []session.Event) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if len(g.Data) == 0 && len(w.Data) == 0 {
			g.Data, w.Data = nil, nil
		}
		if !reflect.DeepEqual(g, w) {
			t.Fatalf("event %d:\n got %.500s\nwant %.500s", i, fmt.Sprintf("%+v", g), fmt.Sprintf("%+v", w))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for name, flush := range map[string]bool{"in one frame": false, "flushed after each event": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := create(t, dir, Options{})
			for _, ev := range sample() {
				write(t, w, ev)
				if flush {
					if err := w.Flush(); err != nil {
						t.Fatal(err)
					}
				}
			}
			sum := end(t, w)
			if sum.Status != session.Complete || sum.Path != filepath.Join(dir, string(meta().ID)+Suffix) {
				t.Errorf("summary: %+v", sum)
			}
			r := open(t, sum.Path)
			if !reflect.DeepEqual(r.Meta(), meta()) {
				t.Errorf("header:\n got %+v\nwant %+v", r.Meta(), meta())
			}
			evs, err := readAll(r)
			if err != io.EOF {
				t.Fatal(err)
			}
			last := evs[len(evs)-1]
			same(t, evs[:len(evs)-1], sample())
			if last.Type != session.TypeEnd || !reflect.DeepEqual(last.Streams, sum.Streams) || *last.ExitCode != 0 {
				t.Errorf("end: %+v", last)
			}
			checkGood(t, sum)
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("%d files in the directory, want 1", len(left))
			}
		})
	}
}

// checkGood holds a finished recording against its summary, by every way there
// is to read it.
func checkGood(t *testing.T, sum Summary) {
	t.Helper()
	rep, err := Verify(sum.Path, nil)
	if err != nil || !rep.OK() || rep.Status != sum.Status || len(rep.Notes) > 0 {
		t.Errorf("verify: %v %+v", err, rep)
	}
	if rep.SHA256 != sum.SHA256 || rep.Info.Size != sum.Size {
		t.Errorf("file is %s of %d bytes, summary says %s of %d", rep.SHA256, rep.Info.Size, sum.SHA256, sum.Size)
	}
	info, err := ReadInfo(sum.Path)
	if err != nil || info.Status != sum.Status || !info.EndedAt.Equal(sum.EndedAt) || info.Damage != "" {
		t.Errorf("info: %v %+v", err, info)
	}
}

func TestALossMakesACompleteRecordingLossy(t *testing.T) {
	w := create(t, t.TempDir(), Options{})
	write(t, w, append(sample(), loss(1000))...)
	sum := end(t, w)
	if sum.Status != session.Lossy || sum.Streams[session.Stdout].Lost != 4096 {
		t.Errorf("summary: %+v", sum)
	}
	checkGood(t, sum)
}

func TestTheZstdProgramReadsARecording(t *testing.T) {
	zstd := require.Tool(t, "zstd")
	w := create(t, t.TempDir(), Options{})
	write(t, w, sample()...)
	sum := end(t, w)
	out, err := exec.Command(zstd, "-dc", sum.Path).Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), string(meta().ID)+".jsonl")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	if rep, err := Verify(path, nil); err != nil || !rep.OK() || rep.Status != session.Complete {
		t.Errorf("verify of the text: %v %+v", err, rep)
	}
}

func TestAnOpenRecordingCanBeFollowed(t *testing.T) {
	w := create(t, t.TempDir(), Options{})
	r := open(t, w.Path())
	for i, ev := range sample() {
		if _, err := r.Next(); !errors.Is(err, ErrTorn) || errors.Is(err, io.EOF) {
			t.Fatalf("before event %d: %v, want ErrTorn", i, err)
		}
		write(t, w, ev)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		got, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		same(t, []session.Event{got}, []session.Event{ev})
	}
}
