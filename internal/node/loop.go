package node

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/probe"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/tracker"
)

const (
	tickEvery = 50 * time.Millisecond
	// parentAfter is when the runtime that started a container has gone, so
	// that the parent of the container's first process is its shim.
	parentAfter = time.Second
)

// loop reads the ring and drives the tracker. All of it is one goroutine's,
// except what stopping waits for.
type loop struct {
	probe   *probe.Probe
	tracker *tracker.Tracker
	world   *world
	tapes   *tapes
	metrics *metrics
	log     *slog.Logger
	idle    time.Duration
	boot    string

	read     uint64 // bytes of the ring read so far
	stopped  chan stopped
	stopping bool
	draining []batch
	busyAt   time.Time // last time there was a session, or a hint of one
	flushed  time.Time
	parents  []parent // containers whose shim is still to be found
	bad      uint64   // records that made no sense
	drops    uint64   // records that did not fit, as of the last reconcile
	checked  time.Time
}

type stopped struct {
	sids map[uint64]bool
	told map[uint64]uint64
	err  error
}

// batch is sessions whose capture has stopped; what they still have in the ring
// has come through when upTo bytes are read.
type batch struct {
	sids map[uint64]bool
	told map[uint64]uint64 // process and size events that will have come then
	upTo uint64
}

type parent struct {
	pid int
	at  time.Time
}

// run goes on until ctx is done.
func (l *loop) run(ctx context.Context) error {
	var ev kevent.Event
	next := time.Now()
	for ctx.Err() == nil {
		if err := l.step(&ev, next); err != nil {
			return err
		}
		if now := time.Now(); !now.Before(next) {
			l.tick(now)
			next = now.Add(tickEvery)
		}
	}
	return nil
}

// step takes one event, if there is one before the deadline.
func (l *loop) step(ev *kevent.Event, deadline time.Time) error {
	n, err := l.probe.Next(deadline, ev)
	l.read += uint64(n)
	switch {
	case errors.Is(err, probe.ErrTimeout):
		return nil
	case errors.Is(err, probe.ErrClosed):
		return err
	case err != nil && n == 0:
		return err
	case err != nil:
		l.bad++
		l.log.Error("record of the ring makes no sense", "error", err)
		return nil
	}
	if ev.Type == kevent.Hint || ev.Type == kevent.Enter {
		l.wake(ev)
	}
	l.tracker.Event(ev)
	return nil
}

// wake gets streams seen: a session is about to begin, or has begun.
func (l *loop) wake(ev *kevent.Event) {
	if err := l.probe.Arm(); err != nil {
		l.log.Error("attach capture", "error", err)
	}
	l.busyAt = time.Now()
	if ev.Type == kevent.Enter && ev.Program.Kind == kevent.First {
		l.world.learn(&ev.Program)
		if len(l.parents) < 1024 {
			l.parents = append(l.parents, parent{ev.Program.PID, l.busyAt.Add(parentAfter)})
		}
	}
}

func (l *loop) tick(now time.Time) {
	l.tracker.Tick(probe.Now())
	l.finish()
	l.stopDue()
	l.noteParents(now)
	l.reconcile(now)
	if now.Sub(l.flushed) >= flushEvery {
		l.flushed = now
		l.tapes.flushAll()
		l.metrics.update(l)
	}
	if l.tracker.Busy() {
		l.busyAt = now
	} else if l.idle > 0 && now.Sub(l.busyAt) > l.idle {
		if err := l.probe.Disarm(); err != nil {
			l.log.Error("detach capture", "error", err)
		}
	}
}

// reconcile finds sessions whose beginning or end did not fit into the ring.
func (l *loop) reconcile(now time.Time) {
	if now.Sub(l.checked) < 2*time.Second {
		return
	}
	l.checked = now
	c, err := l.probe.Counters()
	if err != nil || c.RingDrops == l.drops {
		return
	}
	l.drops = c.RingDrops
	left, err := l.probe.Sessions()
	if err != nil {
		l.log.Error("list sessions", "error", err)
		return
	}
	l.takeUp(left)
}

func (l *loop) noteParents(now time.Time) {
	for len(l.parents) > 0 && !now.Before(l.parents[0].at) {
		if err := l.probe.NoteParent(l.parents[0].pid); err != nil {
			l.log.Warn("note the parent of a container", "error", err)
		}
		l.parents = l.parents[1:]
	}
}

// stopDue has the kernel stop the capture of sessions that are over, beside the
// loop, since it waits for a grace period.
func (l *loop) stopDue() {
	if l.stopping {
		select {
		case s := <-l.stopped:
			l.stopping = false
			if s.err != nil {
				l.log.Error("stop capture of sessions", "error", s.err)
			}
			l.draining = append(l.draining, batch{s.sids, s.told, l.read + uint64(l.probe.Waiting())})
			l.finish()
		default:
			return
		}
	}
	due := l.tracker.Due()
	if len(due) == 0 {
		return
	}
	sids := make(map[uint64]bool, len(due))
	for _, sid := range due {
		sids[sid] = true
	}
	l.stopping = true
	go func() {
		told, err := l.probe.Stop(sids)
		l.stopped <- stopped{sids, told, err}
	}()
}

// finish closes the sessions whose last event has come through.
func (l *loop) finish() {
	for len(l.draining) > 0 && (l.read >= l.draining[0].upTo || l.probe.Waiting() == 0) {
		for sid := range l.draining[0].sids {
			live, ok := l.probe.Lookup(sid)
			k := sums(live)
			if n, known := l.draining[0].told[sid]; known {
				k.Seq = n
			}
			l.log.Debug("session stopped", "sid", sid, "known", ok)
			if l.tracker.Final(sid, k, ok, probe.Now()) {
				continue // forgotten when its recording is closed
			}
			if err := l.probe.Forget(sid); err != nil {
				l.log.Error("forget session", "error", err)
			}
		}
		l.draining = l.draining[1:]
	}
}

// kernel does something with the kernel's session of a recording.
func (l *loop) kernel(m session.Meta, boot string, do func(uint64) error) {
	sid, ok := tracker.ParseKey(boot, m.Key)
	if !ok {
		return
	}
	if err := do(sid); err != nil {
		l.log.Error("close session in the kernel", "session", m.ID, "error", err)
	}
}

func sums(l probe.Live) tracker.Sums {
	return tracker.Sums{Total: l.Total, Seq: l.Seq, Code: l.Code, Exit: l.Exited, PutOut: l.PutOut}
}

// drain takes what is in the ring now, for a bounded time.
func (l *loop) drain(limit time.Duration) {
	var ev kevent.Event
	end := time.Now().Add(limit)
	upTo := l.read + uint64(l.probe.Waiting())
	for l.read < upTo && time.Now().Before(end) && l.probe.Waiting() > 0 {
		if err := l.step(&ev, end); err != nil {
			return
		}
	}
}

// await waits for a stop that is under way, so that its sessions are closed by
// the next finish.
func (l *loop) await() {
	if !l.stopping {
		return
	}
	s := <-l.stopped
	l.stopping = false
	l.draining = append(l.draining, batch{s.sids, s.told, l.read + uint64(l.probe.Waiting())})
}

// catchUp closes the sessions that ended while no recorder ran, so that each
// start gets on with what it found, however soon it is killed again.
func (l *loop) catchUp(limit time.Duration) {
	var ev kevent.Event
	end := time.Now().Add(limit)
	l.tick(time.Now())
	for (l.stopping || len(l.draining) > 0) && time.Now().Before(end) {
		if err := l.step(&ev, time.Now().Add(time.Millisecond)); err != nil {
			return
		}
		l.tick(time.Now())
	}
	l.tapes.wait(end)
}

// endAll closes every session, since the recorder unloads the capture.
func (l *loop) endAll(why string) {
	l.await()
	live, err := l.probe.Sessions()
	if err != nil {
		l.log.Error("list sessions", "error", err)
	}
	sids := make(map[uint64]bool, len(live))
	for _, s := range live {
		sids[s.Session] = true
	}
	if _, err := l.probe.Stop(sids); err != nil {
		l.log.Error("stop capture of sessions", "error", err)
	}
	l.drain(10 * time.Second)
	l.finish()
	l.tracker.StopAll(why, probe.Now(), func(sid uint64) (tracker.Sums, bool) {
		s, ok := l.probe.Lookup(sid)
		return sums(s), ok
	})
}
