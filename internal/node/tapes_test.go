package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/require"
	"github.com/kubetape/kubetape/internal/session"
)

var began = time.Date(2026, 2, 9, 10, 15, 30, 0, time.UTC)

func header() session.Meta {
	return session.Meta{ID: session.NewID(session.Exec, began), Kind: session.Exec, Observer: session.Node, StartedAt: began}
}

func out(at time.Duration, data string) session.Event {
	return session.Event{T: began.Add(at), Type: session.TypeStdout, Data: []byte(data)}
}

func theEnd(at time.Duration) session.Event {
	return session.Event{T: began.Add(at), Type: session.TypeEnd, Status: session.Complete}
}

func unnamed(context.Context, *session.Meta, kevent.Program) {}

func open(t *testing.T, dir string) *tapes {
	t.Helper()
	return newTapes(dir, 2, unnamed, slog.New(slog.DiscardHandler))
}

func shut(t *testing.T, tp *tapes) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := tp.shut(ctx); err != nil {
		t.Fatal(err)
	}
}

// sum reads a finished recording's totals and checks the whole of it.
func sum(t *testing.T, dir string, id session.ID) (recording.Info, session.Totals) {
	t.Helper()
	path := filepath.Join(dir, string(id)+recording.Suffix)
	info, err := recording.ReadInfo(path)
	if err != nil {
		t.Fatal(err)
	}
	return info, info.Streams[session.Stdout]
}

func TestPiecesOfOneStreamCloseTogetherBecomeOneLine(t *testing.T) {
	long := strings.Repeat("x", longest)
	for name, c := range map[string]struct {
		events []session.Event
		items  int
	}{
		"close together":            {[]session.Event{out(0, "a"), out(join, "b"), out(join, "c")}, 1},
		"too far apart":             {[]session.Event{out(0, "a"), out(join+1, "b")}, 2},
		"far from the first":        {[]session.Event{out(0, "a"), out(join, "b"), out(2*join, "c")}, 2},
		"of two streams":            {[]session.Event{out(0, "a"), {T: began, Type: session.TypeStderr, Data: []byte("b")}}, 2},
		"too long together":         {[]session.Event{out(0, long), out(0, "b")}, 2},
		"just long enough":          {[]session.Event{out(0, long[1:]), out(0, "b")}, 1},
		"with a resize between":     {[]session.Event{out(0, "a"), {T: began, Type: session.TypeResize, Cols: 1, Rows: 1}, out(0, "b")}, 3},
		"behind masked input":       {[]session.Event{{T: began, Type: session.TypeStdin, Masked: 3}, {T: began, Type: session.TypeStdin, Data: []byte("b")}}, 2},
		"masked and masked":         {[]session.Event{{T: began, Type: session.TypeStdin, Masked: 3}, {T: began, Type: session.TypeStdin, Masked: 4}}, 2},
		"an end behind a stream":    {[]session.Event{out(0, "a"), theEnd(0)}, 2},
		"events that carry nothing": {[]session.Event{{T: began, Type: session.TypeExec}, {T: began, Type: session.TypeExec}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var tp tape
			grown, want := 0, ""
			for _, ev := range c.events {
				want += string(ev.Data)
				grown += tp.add(ev)
				for i := range ev.Data { // the ring's memory is used again
					ev.Data[i] = 0
				}
			}
			if len(tp.items) != c.items {
				t.Errorf("%d items, want %d", len(tp.items), c.items)
			}
			if w := weight(tp.items); w != grown {
				t.Errorf("the queue grew by %d and would shrink by %d", grown, w)
			}
			got := ""
			for _, it := range tp.items {
				got += string(it.ev.Data)
			}
			if got != want {
				t.Errorf("%d bytes came out of %d", len(got), len(want))
			}
		})
	}
}

func TestWholeSessionIsWritten(t *testing.T) {
	dir := t.TempDir()
	tp, m := open(t, dir), header()
	var ended []session.ID
	tp.ended = func(m session.Meta) { ended = append(ended, m.ID) }
	tp.Begin(m, kevent.Program{})
	for i := range 1000 {
		tp.Write(m.ID, out(time.Duration(i)*time.Millisecond, fmt.Sprintf("line %d\n", i)))
		if i%100 == 0 {
			tp.flushAll()
		}
	}
	tp.End(m.ID, theEnd(time.Second))
	tp.Write(m.ID, out(2*time.Second, "after the end"))
	shut(t, tp)
	info, o := sum(t, dir, m.ID)
	if info.Status != session.Complete || o.Bytes != 8890 || o.Lost != 0 {
		t.Errorf("recorded %s, %+v", info.Status, o)
	}
	if len(ended) != 1 || ended[0] != m.ID || tp.stats.ended != 1 || tp.stats.onDisk != uint64(info.Size) {
		t.Errorf("told of %v, stats %+v", ended, tp.stats)
	}
}

func TestSessionThatSaysNothingHasItsFileAfterAFlush(t *testing.T) {
	dir := t.TempDir()
	m := header()
	synctest.Test(t, func(t *testing.T) {
		tp := open(t, dir)
		tp.Begin(m, kevent.Program{})
		synctest.Wait() // it has its name
		tp.flushAll()
		shut(t, tp)
	})
	if info, err := recording.ReadInfo(filepath.Join(dir, string(m.ID)+recording.PartSuffix)); err != nil || info.Meta.ID != m.ID {
		t.Errorf("%+v, %v", info.Meta, err)
	}
}

func TestShutLeavesWhatHasNotEndedOpenAndFlushed(t *testing.T) {
	dir := t.TempDir()
	tp, m := open(t, dir), header()
	tp.Begin(m, kevent.Program{})
	tp.Write(m.ID, out(0, "not the end"))
	shut(t, tp)
	part := filepath.Join(dir, string(m.ID)+recording.PartSuffix)
	w, err := recording.Resume(part, recording.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Totals(session.Stdout).Bytes; got != 11 {
		t.Errorf("%d bytes were flushed", got)
	}

	again := open(t, dir)
	again.adopt(w)
	again.Write(m.ID, out(time.Second, ", but this is"))
	again.End(m.ID, theEnd(2*time.Second))
	shut(t, again)
	if info, o := sum(t, dir, m.ID); info.Status != session.Complete || o.Bytes != 24 {
		t.Errorf("recorded %s, %+v", info.Status, o)
	}
	if _, err := os.Stat(part); err == nil {
		t.Error("the .part is still there")
	}
}

func TestFullQueueHoldsUpItsWriterAndNothingIsLost(t *testing.T) {
	dir := t.TempDir()
	release := make(chan struct{})
	tp := newTapes(dir, 2, func(context.Context, *session.Meta, kevent.Program) { <-release }, slog.New(slog.DiscardHandler))
	m := header()
	tp.Begin(m, kevent.Program{})
	const piece, pieces = 256 << 10, 2*maxQueued/(256<<10) + 1
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range pieces {
			tp.Write(m.ID, out(time.Duration(i)*time.Second, strings.Repeat("x", piece)))
		}
		tp.End(m.ID, theEnd(pieces*time.Second))
	}()
	queued := untilFull(tp) // no header may be written yet
	if queued < maxQueued || queued > maxQueued+piece+overhead {
		t.Errorf("%d bytes are queued, at most %d", queued, maxQueued)
	}
	close(release)
	<-done
	shut(t, tp)
	if tp.queued != 0 {
		t.Errorf("%d bytes queued at the end", tp.queued)
	}
	if info, o := sum(t, dir, m.ID); info.Status != session.Complete || o.Bytes != pieces*piece {
		t.Errorf("recorded %s, %+v", info.Status, o)
	}
}

// untilFull returns how much is queued once a writer waits for room.
func untilFull(tp *tapes) int {
	for {
		tp.mu.Lock()
		queued, waits := tp.queued, tp.stats.waits
		tp.mu.Unlock()
		if waits > 0 {
			return queued
		}
		runtime.Gosched()
	}
}

func TestSlowNameOfOneSessionDoesNotHoldUpAnother(t *testing.T) {
	dir := t.TempDir()
	slow, quick := header(), header()
	release, ended := make(chan struct{}), make(chan session.ID, 2)
	tp := newTapes(dir, 2, func(_ context.Context, m *session.Meta, _ kevent.Program) {
		if m.ID == slow.ID {
			<-release
		}
		m.Pod = "named"
	}, slog.New(slog.DiscardHandler))
	tp.ended = func(m session.Meta) { ended <- m.ID }
	for _, m := range []session.Meta{slow, quick} {
		tp.Begin(m, kevent.Program{})
		tp.Write(m.ID, out(0, "x"))
		tp.End(m.ID, theEnd(0))
	}
	if got := <-ended; got != quick.ID {
		t.Errorf("%s ended first", got)
	}
	close(release)
	shut(t, tp)
	if info, _ := sum(t, dir, slow.ID); info.Meta.Pod != "named" {
		t.Errorf("header is %+v", info.Meta)
	}
}

// smallDisk is a file system with room for n bytes, and a way to make it larger.
func smallDisk(t *testing.T, n int) (dir string, grow func()) {
	t.Helper()
	require.Root(t)
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir, func() {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
			t.Fatal(err)
		}
	}
}

func noise(n int) string {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func TestWhatAFullDiskDidNotTakeIsSaidAsLossWhenItHasRoomAgain(t *testing.T) {
	dir, grow := smallDisk(t, 128<<10)
	var log bytes.Buffer
	tp := newTapes(dir, 1, unnamed, slog.New(slog.NewTextHandler(&log, nil)))
	m := header()
	tp.Begin(m, kevent.Program{})
	data := noise(64 << 10)
	passed := int64(0)
	for i := range 400 { // 25 MiB: beyond what the writer itself can hold back
		tp.Write(m.ID, out(time.Duration(i)*time.Second, data))
		passed += int64(len(data))
		if i%50 == 0 {
			tp.flushAll()
		}
	}
	settled(tp)
	if tp.stats.failed == 0 || tp.stats.unsaved == 0 {
		t.Fatalf("the disk took it all: %+v", tp.stats)
	}
	grow()
	tp.Write(m.ID, out(time.Hour, "room again"))
	passed += 10
	tp.End(m.ID, theEnd(2*time.Hour))
	shut(t, tp)
	info, o := sum(t, dir, m.ID)
	if info.Status != session.Lossy || o.Lost == 0 || o.Bytes+o.Lost != passed || uint64(o.Lost) != tp.stats.unsaved {
		t.Errorf("recorded %s, %+v of %d bytes, unsaved %d", info.Status, o, passed, tp.stats.unsaved)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors logged for one full disk", n)
	}
}

// settled waits until nothing is queued.
func settled(t *tapes) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.idle() {
		t.room.Wait()
	}
}

func TestSessionThatBeginsOnAFullDiskIsRecordedOnceThereIsRoom(t *testing.T) {
	dir, grow := smallDisk(t, 16<<10)
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 12<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 64 { // no inode's worth of room either
		if os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), make([]byte, 4096), 0o600) != nil {
			break
		}
	}
	tp, m := open(t, dir), header()
	tp.Begin(m, kevent.Program{})
	tp.Write(m.ID, out(0, "lost"))
	tp.Write(m.ID, session.Event{T: began, Type: session.TypeLoss, Stream: session.Stdout, Bytes: 5, Why: "ring full"})
	tp.Write(m.ID, session.Event{T: began, Type: session.TypeLoss, Bytes: 3, Why: "ring full"})
	tp.Write(m.ID, session.Event{T: began, Type: session.TypeExit})
	settled(tp)
	grow()
	tp.Write(m.ID, out(time.Second, "kept"))
	tp.End(m.ID, theEnd(2*time.Second))
	shut(t, tp)
	info, o := sum(t, dir, m.ID)
	if info.Status != session.Lossy || o.Bytes != 4 || o.Lost != 9 {
		t.Errorf("recorded %s, %+v", info.Status, o)
	}
	if n := lostEvents(t, info.Path); n != 4 {
		t.Errorf("%d process events are said to be lost, want the 3 of the ring and the 1 of the disk", n)
	}
}

func lostEvents(t *testing.T, path string) (n int64) {
	t.Helper()
	r, err := recording.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		ev, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if ev.Type == session.TypeLoss && ev.Stream == "" {
			n += ev.Bytes
		}
	}
}

func TestSessionThatEndsOnAFullDiskIsStillLetGo(t *testing.T) {
	dir, _ := smallDisk(t, 64<<10)
	tp, m := open(t, dir), header()
	gone := 0
	tp.ended = func(session.Meta) { gone++ }
	tp.Begin(m, kevent.Program{})
	tp.Write(m.ID, out(0, "first"))
	tp.flushAll()
	settled(tp)
	tp.Write(m.ID, out(time.Second, noise(128<<10)))
	tp.End(m.ID, theEnd(time.Second))
	shut(t, tp)
	if gone != 1 {
		t.Errorf("let go %d times: the kernel's table of sessions would fill", gone)
	}
	part := filepath.Join(dir, string(m.ID)+recording.PartSuffix)
	s, err := recording.Recover(part, "test")
	if err != nil || s.Status != session.Torn || s.Streams[session.Stdout].Bytes < 5 {
		t.Errorf("recovered %+v, %v", s, err)
	}
}
