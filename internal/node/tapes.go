package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/internal/session"
)

// tapes writes recordings with a few workers. Begin, Write and End are called by
// one goroutine and block while too much is queued.
type tapes struct {
	dir  string
	opts recording.Options
	name func(ctx context.Context, m *session.Meta, p kevent.Program)
	log  *slog.Logger

	mu     sync.Mutex
	room   *sync.Cond // signalled when queued shrinks
	work   *sync.Cond // signalled when ready grows
	all    map[session.ID]*tape
	ready  []*tape
	queued int // bytes in all queues
	closed bool

	naming chan struct{} // one token for each identity being settled
	wg     sync.WaitGroup
	stats  tapeStats // guarded by mu
	// ending and ended are called around the closing of a recording, by a
	// worker. They may be nil.
	ending, ended func(session.Meta)
}

type tapeStats struct {
	waits   uint64 // times that the reader had to wait for the disk
	waited  time.Duration
	failed  uint64 // writes that failed
	unsaved uint64 // bytes that were not written because of that
	ended   uint64
	onDisk  uint64 // bytes of finished recordings
}

const (
	maxQueued  = 8 << 20
	maxNaming  = 16
	nameLimit  = time.Second
	flushEvery = time.Second
	syncEvery  = 15 * time.Second
)

func newTapes(dir string, workers int, name func(context.Context, *session.Meta, kevent.Program), log *slog.Logger) *tapes {
	t := &tapes{
		dir: dir, opts: recording.Options{Pool: recording.NewPool()}, name: name, log: log,
		all: map[session.ID]*tape{}, naming: make(chan struct{}, maxNaming),
	}
	t.room, t.work = sync.NewCond(&t.mu), sync.NewCond(&t.mu)
	for range workers {
		t.wg.Go(t.worker)
	}
	return t
}

// Begin implements tracker.Recorder.
func (t *tapes) Begin(m session.Meta, prog kevent.Program) {
	prog.Argv, prog.Cgroup = nil, "" // the ring's memory
	tp := &tape{meta: m, prog: prog, synced: time.Now()}
	t.mu.Lock()
	t.all[m.ID] = tp
	t.mu.Unlock()
	t.wg.Go(func() { t.settle(tp) })
}

// adopt goes on with a recording that is open on disk.
func (t *tapes) adopt(w *recording.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all[w.Meta().ID] = &tape{meta: w.Meta(), w: w, named: true, synced: time.Now()}
}

// settle finds out who and where, for a bounded time, and lets the header be
// written. At most maxNaming questions are open at a time; the others wait.
func (t *tapes) settle(tp *tape) {
	t.naming <- struct{}{}
	m := tp.meta
	ctx, cancel := context.WithTimeout(context.Background(), nameLimit)
	t.name(ctx, &m, tp.prog)
	cancel()
	<-t.naming
	t.mu.Lock()
	defer t.mu.Unlock()
	tp.meta, tp.named = m, true
	t.hand(tp)
}

// hand gives a tape to the workers. mu is held.
func (t *tapes) hand(tp *tape) {
	if tp.inHand || !tp.named || (len(tp.items) == 0 && !tp.dirty) {
		return
	}
	tp.inHand = true
	t.ready = append(t.ready, tp)
	t.work.Signal()
}

// Write implements tracker.Recorder.
func (t *tapes) Write(id session.ID, ev session.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tp := t.all[id]
	if tp == nil {
		return
	}
	if t.queued >= maxQueued {
		start := time.Now()
		t.stats.waits++
		for t.queued >= maxQueued && !t.closed {
			t.room.Wait()
		}
		t.stats.waited += time.Since(start)
	}
	t.queued += tp.add(ev)
	t.hand(tp)
}

// End implements tracker.Recorder.
func (t *tapes) End(id session.ID, ev session.Event) { t.Write(id, ev) }

func (t *tapes) worker() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		for len(t.ready) == 0 {
			if t.closed && len(t.all) == 0 {
				return
			}
			t.work.Wait()
		}
		tp := t.ready[0]
		t.ready = t.ready[1:]
		items, flush := tp.items, tp.dirty
		tp.items, tp.dirty = nil, false
		t.mu.Unlock()
		ended := t.put(tp, items, flush)
		t.mu.Lock()
		t.queued -= weight(items)
		t.room.Broadcast()
		tp.inHand = false
		if ended {
			delete(t.all, tp.meta.ID)
			t.work.Broadcast()
			continue
		}
		t.hand(tp)
	}
}

// put writes items, and flushes when it is time to. It reports whether
// the recording has ended.
func (t *tapes) put(tp *tape, items []item, flush bool) bool {
	log := t.log.With("session", tp.meta.ID)
	if tp.w == nil {
		w, err := recording.Create(t.dir, tp.meta, t.opts)
		if errors.Is(err, fs.ErrNotExist) { // somebody removed the directory
			if err = os.MkdirAll(t.dir, 0o700); err == nil {
				w, err = recording.Create(t.dir, tp.meta, t.opts)
			}
		}
		if err != nil {
			t.fault(tp, log, "create recording", err)
		}
		tp.w = w
		if err == nil {
			if err := w.Flush(); err != nil { // so that a crash leaves the header at least
				t.fault(tp, log, "write header", err)
			}
		}
	}
	for i := range items {
		ev := &items[i].ev
		if ev.Type == session.TypeEnd {
			t.end(tp, *ev, log)
			return true
		}
		t.write(tp, ev, log)
	}
	if tp.w == nil || !flush {
		return false
	}
	if err := t.flush(tp); err != nil {
		t.fault(tp, log, "write recording", err)
	} else if tp.failed {
		tp.failed = false
		log.Info("recording can be written again")
	}
	return false
}

func (t *tapes) flush(tp *tape) error {
	if now := time.Now(); now.Sub(tp.synced) > syncEvery {
		tp.synced = now
		return tp.w.Sync()
	}
	return tp.w.Flush()
}

// write puts one event into the recording. What cannot be written is remembered
// and said in the recording as soon as it can be.
func (t *tapes) write(tp *tape, ev *session.Event, log *slog.Logger) {
	if tp.w == nil {
		t.unsaved(tp, ev)
		return
	}
	err := t.sayLost(tp, ev.T)
	if err == nil {
		err = tp.w.Write(*ev)
	}
	if err != nil {
		t.unsaved(tp, ev)
		t.fault(tp, log, "write recording", err)
	}
}

const whyDisk = "recording could not be written"

func (t *tapes) sayLost(tp *tape, at time.Time) error {
	for i, n := range tp.lost {
		if n == 0 {
			continue
		}
		if err := tp.w.Write(session.Event{T: at, Type: session.TypeLoss, Stream: session.Streams[i], Bytes: n, Why: whyDisk}); err != nil {
			return err
		}
		tp.lost[i] = 0
	}
	if tp.lostEv == 0 {
		return nil
	}
	if err := tp.w.Write(session.Event{T: at, Type: session.TypeLoss, Bytes: tp.lostEv, Why: whyDisk}); err != nil {
		return err
	}
	tp.lostEv = 0
	return nil
}

func (t *tapes) unsaved(tp *tape, ev *session.Event) {
	i := ev.Type.Stream().Index()
	n := int64(len(ev.Data) + ev.Masked)
	switch {
	case i >= 0:
		tp.lost[i] += n
	case ev.Type == session.TypeLoss && ev.Stream.Index() >= 0 && ev.Bytes > 0:
		tp.lost[ev.Stream.Index()] += ev.Bytes
	case ev.Type == session.TypeLoss && ev.Stream == "" && ev.Bytes > 0:
		tp.lostEv += ev.Bytes
	default:
		tp.lostEv++
	}
	t.mu.Lock()
	t.stats.unsaved += uint64(n)
	t.mu.Unlock()
}

func (t *tapes) end(tp *tape, ev session.Event, log *slog.Logger) {
	if t.ended != nil {
		defer t.ended(tp.meta) // also when the disk is full: the kernel's table has bounds
	}
	if tp.w == nil {
		log.Error("session was not recorded", "kind", tp.meta.Kind)
		return
	}
	err := t.sayLost(tp, ev.T)
	if t.ending != nil {
		t.ending(tp.meta)
	}
	if err == nil {
		var sum recording.Summary
		if sum, err = tp.w.End(ev); err == nil {
			t.done(tp, sum, log)
			return
		}
	}
	t.fault(tp, log, "end recording", err)
	log.Error("recording is left open and will be closed as torn at the next start", "path", t.dir)
	if err := tp.w.Abandon(); err != nil {
		log.Error("close recording", "error", err)
	}
}

func (t *tapes) done(tp *tape, sum recording.Summary, log *slog.Logger) {
	t.mu.Lock()
	t.stats.ended++
	t.stats.onDisk += uint64(sum.Size)
	t.mu.Unlock()
	log.Info("session ended", "kind", tp.meta.Kind, "status", sum.Status,
		"stdin_bytes", sum.Streams[session.Stdin].Bytes, "stdout_bytes", sum.Streams[session.Stdout].Bytes,
		"stderr_bytes", sum.Streams[session.Stderr].Bytes, "file_bytes", sum.Size)
}

// fault logs the first of a row of failures.
func (t *tapes) fault(tp *tape, log *slog.Logger, what string, err error) {
	t.mu.Lock()
	t.stats.failed++
	t.mu.Unlock()
	if !tp.failed {
		tp.failed = true
		log.Error("recording failed", "step", what, "error", err)
	}
}

// flushAll has every tape that was written to flushed; called about once a
// second.
func (t *tapes) flushAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tp := range t.all { // also what has said nothing yet: its file should be there
		tp.dirty = true
		t.hand(tp)
	}
}

// keys returns the keys of the recordings that are not closed on disk yet.
func (t *tapes) keys() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := make(map[string]bool, len(t.all))
	for _, tp := range t.all {
		keys[tp.meta.Key] = true
	}
	return keys
}

// wait waits until what is queued is written, but not beyond end.
func (t *tapes) wait(end time.Time) {
	timer := time.AfterFunc(time.Until(end), t.room.Broadcast)
	defer timer.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.idle() && time.Now().Before(end) {
		t.room.Wait()
	}
}

// shut waits until everything queued is written. Recordings that have not ended
// are left open on disk, flushed.
func (t *tapes) shut(ctx context.Context) error {
	done := make(chan struct{})
	if end, ok := ctx.Deadline(); ok {
		t.wait(end)
	}
	t.mu.Lock()
	if !t.idle() {
		t.mu.Unlock()
		return errors.New("recordings are not written: the disk does not answer")
	}
	left := t.all
	t.all, t.closed = map[session.ID]*tape{}, true
	t.work.Broadcast()
	t.mu.Unlock()
	go func() { t.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("wait for recordings: %w", ctx.Err())
	}
	var errs []error
	for _, tp := range left {
		if tp.w != nil {
			errs = append(errs, tp.w.Sync(), tp.w.Abandon())
		}
	}
	return errors.Join(errs...)
}

// idle reports whether nothing is queued or in hand. mu is held.
func (t *tapes) idle() bool {
	for _, tp := range t.all {
		if tp.inHand || len(tp.items) > 0 {
			return false
		}
	}
	return true
}
