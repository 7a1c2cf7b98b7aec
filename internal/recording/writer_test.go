//go:build unix

package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

func TestManyWritersShareThePoolWithoutMixingUp(t *testing.T) {
	dir, pool := memDir(t), newPool(64<<10, 2)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			m := meta()
			m.ID = session.ID(fmt.Sprintf("exec_%02d", i))
			w, err := Create(dir, m, Options{Pool: pool})
			if err != nil {
				t.Error(err)
				return
			}
			line := bytes.Repeat([]byte(m.ID), 100)
			for k := range 500 / (1 + step/3) {
				if err := w.Write(session.Event{T: at(k), Type: session.TypeStdout, Data: line}); err != nil {
					t.Error(err)
				}
				if k%97 == 0 {
					if err := w.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
			sum, err := w.End(session.Event{T: at(1000), Status: session.Complete})
			if err != nil {
				t.Error(err)
				return
			}
			checkGood(t, sum)
			r := open(t, sum.Path)
			for {
				ev, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil || ev.Type == session.TypeStdout && !bytes.Equal(ev.Data, line) {
					t.Errorf("%s: %v, or another session's bytes", m.ID, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if len(pool.large) != 2 {
		t.Errorf("%d large buffers came back, want 2", len(pool.large))
	}
}

func TestSeekGivesTheFirstEventAtOrAfterATime(t *testing.T) {
	for name, finish := range map[string]bool{"by the seek table": true, "in an open recording": false} {
		t.Run(name, func(t *testing.T) {
			w := create(t, t.TempDir(), Options{Pool: newPool(4<<10, 1)})
			const n = 2000
			for i := range n { // two events at each time
				write(t, w, session.Event{T: at(i / 2 * 10), Type: session.TypeStdout, Data: fmt.Appendf(nil, "event %d %032x", i, i*i)})
			}
			path := w.Path()
			if finish {
				path = end(t, w).Path
			} else if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			r := open(t, path)
			for _, ms := range []int{-5, 0, 1, 10, 4995, 5000, 3, 9989, 9990} {
				if err := r.SeekTime(at(ms)); err != nil {
					t.Fatal(err)
				}
				want := max(0, (ms+9)/10) * 2
				ev, err := r.Next()
				if err != nil || !strings.HasPrefix(string(ev.Data), fmt.Sprintf("event %d ", want)) {
					t.Fatalf("seek to %d ms: %v %q, want event %d", ms, err, ev.Data, want)
				}
			}
			if err := r.SeekTime(at(1 << 30)); err != nil {
				t.Fatal(err)
			}
			wantErr := ErrTorn
			if finish {
				wantErr = io.EOF
			}
			if _, err := r.Next(); !errors.Is(err, wantErr) {
				t.Fatalf("seek behind the end: %v, want %v", err, wantErr)
			}
		})
	}
}

func TestSeekReadsLittle(t *testing.T) {
	w := create(t, memDir(t), Options{Pool: newPool(16<<10, 1)})
	for i, ev := range chunked(randomText(4<<20), 4096, time.Millisecond) {
		ev.T = at(i)
		write(t, w, ev)
	}
	sum := end(t, w)
	r := open(t, sum.Path)
	l := r.lines.(*framed)
	count := &counter{r: l.r}
	l.r = count
	if err := r.SeekTime(at(900)); err != nil {
		t.Fatal(err)
	}
	if ev, err := r.Next(); err != nil || !ev.T.Equal(at(900)) {
		t.Fatal(err, ev.T)
	}
	if count.n*10 > sum.Size {
		t.Errorf("read %d of %d bytes", count.n, sum.Size)
	}
}

type counter struct {
	r io.ReaderAt
	n int64
}

func (c *counter) ReadAt(b []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(b, off)
	c.n += int64(n)
	return n, err
}

func TestTimesNeverGoBack(t *testing.T) {
	w := create(t, t.TempDir(), Options{})
	write(t, w, session.Event{T: at(10), Type: session.TypeStdout}, session.Event{T: at(5), Type: session.TypeStdout})
	evs, _ := readAll(open(t, end(t, w).Path))
	if !evs[1].T.Equal(at(10)) {
		t.Errorf("second event is at %v, want %v", evs[1].T, at(10))
	}
}

func TestLongDataAndLongArgumentsAreBroughtIntoLegalLines(t *testing.T) {
	w := create(t, t.TempDir(), Options{})
	long := randomText(maxEvent)
	argv := []session.Text{"sh", session.Text(strings.Repeat("\x01", 2<<20)), "lost"}
	write(t, w, session.Event{T: at(1), Type: session.TypeStdout, Data: long},
		session.Event{T: at(2), Type: session.TypeExec, Argv: argv})
	if err := w.Write(session.Event{T: at(3), Type: session.TypeStdout, Data: append(long, 0)}); err == nil {
		t.Error("more than the longest event was taken")
	}
	sum := end(t, w)
	checkGood(t, sum)
	evs, _ := readAll(open(t, sum.Path))
	var got []byte
	for _, ev := range evs {
		got = append(got, ev.Data...)
	}
	if !bytes.Equal(got, long) {
		t.Error("long data is not whole")
	}
	ex := evs[len(evs)-2]
	kept := len(ex.Argv[0]) + len(ex.Argv[1])
	if len(ex.Argv) != 2 || kept+ex.ArgvCut != 2+2<<20+4 || kept < maxArgv/2 {
		t.Errorf("%d arguments with %d bytes kept and %d cut", len(ex.Argv), kept, ex.ArgvCut)
	}
}

func TestEventsThatNoReaderTakesAreRefused(t *testing.T) {
	w := create(t, t.TempDir(), Options{})
	for name, ev := range map[string]session.Event{
		"no time":                 {Type: session.TypeStdout},
		"no type":                 {T: at(0)},
		"the end":                 {T: at(0), Type: session.TypeEnd, Status: session.Complete},
		"masked output":           {T: at(0), Type: session.TypeStdout, Masked: 3},
		"masked and data":         {T: at(0), Type: session.TypeStdin, Masked: 3, Data: []byte("abc")},
		"loss of no known stream": {T: at(0), Type: session.TypeLoss, Stream: "x"},
		"negative size":           {T: at(0), Type: session.TypeResize, Cols: -1},
	} {
		if err := w.Write(ev); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	sum := end(t, w)
	if evs, _ := readAll(open(t, sum.Path)); len(evs) != 1 {
		t.Errorf("%d events, want only the end", len(evs))
	}
}

func TestADirectoryThatCannotBeWrittenIsOneClearError(t *testing.T) {
	_, err := Create(t.TempDir()+"/missing", meta(), Options{})
	if !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// TestMemoryOfWriters holds the figures that pool.go and MEASUREMENTS.md state.
func TestMemoryOfWriters(t *testing.T) {
	const n = 200 / step
	pool := NewPool()
	dir := memDir(t)
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	data := randomText(32 << 10)
	before := heap()
	var ws []*Writer
	for i := range n {
		m := meta()
		m.ID = session.ID(fmt.Sprintf("exec_%03d", i))
		w, err := Create(dir, m, Options{Pool: pool})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abandon()
		ws = append(ws, w)
	}
	idle := heap() - before
	for _, w := range ws { // each floods, none is flushed
		for range 4 { // enough to borrow, or to cut small frames
			write(t, w, session.Event{T: at(1), Type: session.TypeStdout, Data: data})
		}
	}
	busy := heap() - before
	for _, w := range ws {
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	flushed := heap() - before
	t.Logf("%d writers, idle: %d KiB in all; all flooding: %d KiB; flushed again: %d KiB", n, idle>>10, busy>>10, flushed>>10)
	if idle > 4<<20 || busy > 45<<20 || flushed > 35<<20 {
		t.Errorf("more than the pool allows")
	}
	runtime.KeepAlive(ws)
}
