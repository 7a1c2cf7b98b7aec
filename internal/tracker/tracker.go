package tracker

import (
	"log/slog"
	"time"

	"github.com/kubetape/kubetape/internal/cgroup"
	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/session"
)

// Recorder takes what the sessions are made of. Its methods are called by the
// goroutine that drives the Tracker. Data of an event is good for the call only.
type Recorder interface {
	// Begin opens a recording. prog tells more about how it began.
	Begin(m session.Meta, prog kevent.Program)
	// Write adds an event other than the end.
	Write(id session.ID, ev session.Event)
	// End closes the recording.
	End(id session.ID, ev session.Event)
}

// World answers what the Tracker cannot know. Its methods are called rarely and
// may look into /proc, never into a network.
type World interface {
	// Container tells which container a mount namespace belongs to, where pid
	// is a process in it.
	Container(mountNS uint32, pid int) (cgroup.Container, bool)
	// Discover rebuilds how a session began that the kernel holds open and this
	// Tracker has not seen begin.
	Discover(sid uint64) (Found, bool)
	// Inside returns how many processes are in a session.
	Inside(sid uint64) (uint64, bool)
	// Holds reports whether a process still has the other end of a session's
	// stream behind one of its descriptors.
	Holds(pid, fd, tty int, terminal bool) bool
	// Wrote returns how many bytes a process has written to anything.
	Wrote(pid int) (uint64, bool)
	// SeenSince returns since when streams are seen, and whether they are.
	SeenSince() (uint64, bool)
}

// Found is a session that was not seen to begin. Its Program has no Kind while it
// is not born.
type Found struct {
	Program kevent.Program
	Began   uint64 // as kevent.Event.At
	Exited  bool   // its first process has ended
	Code    uint32 // as of wait(2)
	Ends    Ends
}

// Ends is what the kernel saw of the other ends of a session's streams.
type Ends struct {
	Holder [3]int // process, 0: not seen
	FD     [3]int
	EOF    [3]bool // read to its end
}

// Config says what is recorded.
type Config struct {
	Node    string // name of this node
	Boot    string // boot ID: part of a session's key
	Flavour string
	Stdin   session.Policy
	Kinds   map[session.Kind]bool // which kinds are recorded
}

// Tracker is the state machine. Not safe for concurrent use.
type Tracker struct {
	cfg   Config
	rec   Recorder
	world World
	log   *slog.Logger

	open     map[uint64]*open
	rejected map[uint64]bool // not ours: to be taken out of the kernel
	due      []uint64        // to be stopped by the caller
	unborn   map[uint64]*unborn
	kept     int // bytes held for the unborn
	wall     func(at uint64) time.Time
	stats    Stats
}

// Stats counts what happened; the numbers only grow, except Open.
type Stats struct {
	Open     int
	Begun    map[session.Kind]uint64
	Ended    map[session.Status]uint64
	Bytes    [3]uint64 // kept, by stream
	Masked   uint64
	Lost     uint64
	Rejected uint64 // looked like a session and was none
	Orphans  uint64 // events of no session
}

// New returns a Tracker without sessions. wall turns kevent.Event.At into the
// time of day.
func New(cfg Config, rec Recorder, world World, wall func(uint64) time.Time, log *slog.Logger) *Tracker {
	return &Tracker{
		cfg: cfg, rec: rec, world: world, wall: wall, log: log,
		open: map[uint64]*open{}, rejected: map[uint64]bool{}, unborn: map[uint64]*unborn{},
		stats: Stats{Begun: map[session.Kind]uint64{}, Ended: map[session.Status]uint64{}},
	}
}

// Stats returns a copy of the counters.
func (t *Tracker) Stats() Stats {
	s := t.stats
	s.Open = len(t.open)
	s.Begun, s.Ended = map[session.Kind]uint64{}, map[session.Status]uint64{}
	for k, v := range t.stats.Begun {
		s.Begun[k] = v
	}
	for k, v := range t.stats.Ended {
		s.Ended[k] = v
	}
	return s
}

// Knows reports whether a session is open here.
func (t *Tracker) Knows(sid uint64) bool { return t.open[sid] != nil }

// Busy reports whether any session is open.
func (t *Tracker) Busy() bool { return len(t.open) > 0 }

// Event takes one event. ev is not kept.
func (t *Tracker) Event(ev *kevent.Event) {
	switch ev.Type {
	case kevent.Hint:
		return
	case kevent.Enter:
		t.enter(ev, WhyRing)
		return
	case kevent.Unborn:
		t.conceive(ev.Session, ev.At)
		return
	}
	if ev.Session == 0 || t.rejected[ev.Session] {
		return
	}
	s := t.open[ev.Session]
	if s == nil {
		// Its beginning is on its way, or it was read by a recorder that is no more.
		t.conceive(ev.Session, ev.At)
		t.keep(t.unborn[ev.Session], ev)
		return
	}
	s.take(ev)
}

// take adds an event to a session.
func (s *open) take(ev *kevent.Event) {
	switch ev.Type {
	case kevent.Data, kevent.Unseen:
		s.data(ev)
	case kevent.EOF:
		s.eof[ev.Stream] = true
		s.lastAt, s.holder[ev.Stream], s.fd[ev.Stream] = ev.At, ev.Holder, ev.FD
		if s.exited {
			s.t.consider(s, ev.At)
		}
	case kevent.Exec:
		s.process(ev)
	case kevent.Exit:
		s.exit(ev)
		if ev.First {
			s.t.consider(s, ev.At)
		}
	case kevent.Resize:
		s.resize(ev)
	}
}

// Missing tells of sessions that the kernel holds open, all of whose events so
// far have come through or are lost. Those that are not known are taken up.
func (t *Tracker) Missing(sids []uint64, now uint64) {
	for _, sid := range sids {
		if t.open[sid] != nil || t.rejected[sid] {
			continue
		}
		f, ok := t.world.Discover(sid)
		if !ok {
			continue
		}
		t.conceive(sid, f.Began)
		if f.Program.Kind != 0 {
			t.takeUp(sid, f, now)
		}
	}
}

// takeUp begins a session whose beginning did not come.
func (t *Tracker) takeUp(sid uint64, f Found, now uint64) {
	t.enter(&kevent.Event{Type: kevent.Enter, At: f.Began, Session: sid, Program: f.Program}, WhyDown)
	t.Tell(sid, f, now)
}

// Recorded is how far a recording got before the recorder stopped.
type Recorded struct {
	Meta session.Meta
	Sum  [3]session.Totals
	Told uint64 // process and size events, and those said to be lost
}

// Adopt goes on with a recording that an earlier recorder left open for the
// kernel's session sid. Everything that passed meanwhile and is not in the ring
// will be written as lost.
func (t *Tracker) Adopt(sid uint64, r Recorded, now uint64, prog kevent.Program) {
	s := t.add(sid, r.Meta, prog, now)
	for i, sum := range r.Sum {
		s.next[i] = uint64(sum.Bytes + sum.Masked + sum.Lost)
	}
	s.missing(WhyDown)
	s.told = r.Told
	s.write(session.Event{T: s.when(now), Type: session.TypeResume, Why: "recorder restarted"})
}

// Why bytes are missing.
const (
	WhyRing = "ring full"
	WhyDown = "recorder was down"
	WhyLate = "capture began after the session"
	// WhyPutOut: too many sessions on one terminal or pipe.
	WhyPutOut = "terminal shared by too many sessions"
)

func (t *Tracker) reject(sid uint64) {
	if sid == 0 || t.rejected[sid] {
		return
	}
	t.rejected[sid] = true
	t.stats.Rejected++
	t.due = append(t.due, sid)
}

// Due returns the sessions that are over since the last call. The caller stops
// their capture, lets through what is still in the ring, and calls Final.
func (t *Tracker) Due() []uint64 {
	d := t.due
	t.due = nil
	return d
}

// Sums is what the kernel counted of a session.
type Sums struct {
	Total [3]uint64
	Seq   uint64
	Code  uint32
	Exit  bool
	// PutOut: the kernel side had no room for the session on one of its streams.
	PutOut bool
}

// Final closes a session after its last event has come through. ok is false
// when the kernel knows nothing of it any more. It reports whether the session
// has a recording, which must be safe before the kernel may forget it.
func (t *Tracker) Final(sid uint64, sums Sums, ok bool, now uint64) bool {
	if t.rejected[sid] {
		delete(t.rejected, sid)
		return false
	}
	s := t.open[sid]
	if s == nil {
		return false
	}
	delete(t.open, sid)
	s.close(sums, ok, now, "")
	return true
}

// StopAll closes all sessions since the recorder stops before they do. The
// kernel's sums are asked of sums; call it after the last event has come
// through.
func (t *Tracker) StopAll(why string, now uint64, sums func(uint64) (Sums, bool)) {
	for sid, s := range t.open {
		k, ok := sums(sid)
		delete(t.open, sid)
		if s.exited {
			why := ""
			s.close(k, ok, now, why)
			continue
		}
		s.close(k, ok, now, why)
	}
}

// Suspend writes out what is held back, before the recorder stops and leaves the
// recordings open for its successor.
func (t *Tracker) Suspend(now uint64) {
	for _, s := range t.open {
		s.items(s.mask.Flush())
	}
}
