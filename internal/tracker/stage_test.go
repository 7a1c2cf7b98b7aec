package tracker

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/cgroup"
	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/session"
)

var epoch = time.Date(2026, 2, 9, 10, 15, 30, 0, time.UTC)

func wall(at uint64) time.Time { return epoch.Add(time.Duration(at)) }

// tape is a recording in memory. It holds the Recorder's caller to the rules.
type tape struct {
	meta   session.Meta
	events []session.Event // with bytes of their own
	sum    [3]session.Totals
	loose  int64 // lost process and size events
	begins int
	end    *session.Event
	last   time.Time
}

// stage plays the kernel, the Recorder, the World and the clock to one Tracker.
type stage struct {
	t     *testing.T
	tr    *Tracker
	cfg   Config
	now   uint64
	tapes map[session.ID]*tape
	kern  map[uint64]*kern
	final map[uint64]kern // as of Final

	box       cgroup.Container
	boxed     bool
	holds     bool // answer of Holds
	wrote     map[int]uint64
	seenSince uint64
	seen      bool
	discover  map[uint64]kevent.Program
}

// kern is what the kernel counts of a session.
type kern struct {
	total  [3]uint64
	seq    uint64
	exited bool
	code   uint32
	inside uint64
}

func newStage(t *testing.T) *stage {
	s := &stage{
		t: t, now: uint64(time.Second), tapes: map[session.ID]*tape{}, kern: map[uint64]*kern{}, final: map[uint64]kern{},
		box: cgroup.Container{ID: "c0ffee", Runtime: "containerd"}, boxed: true, holds: true,
		wrote: map[int]uint64{}, seen: true, discover: map[uint64]kevent.Program{},
		cfg: Config{
			Node: "n1", Boot: "boot", Flavour: "syscall", Stdin: session.Masked,
			Kinds: map[session.Kind]bool{session.Exec: true, session.Attach: true, session.Shell: true},
		},
	}
	s.restart()
	return s
}

// restart begins a new Tracker; what is recorded and what the kernel counts stays.
func (s *stage) restart() { s.tr = New(s.cfg, s, s, wall, slog.New(slog.DiscardHandler)) }

// Container implements World.
func (s *stage) Container(uint32, int) (cgroup.Container, bool) { return s.box, s.boxed }

// Discover implements World.
func (s *stage) Discover(sid uint64) (Found, bool) {
	p, ok := s.discover[sid]
	f := Found{Program: p, Began: s.now}
	if k := s.kern[sid]; k != nil {
		f.Exited, f.Code = k.exited, k.code
	}
	return f, ok
}

// Inside implements World.
func (s *stage) Inside(sid uint64) (uint64, bool) {
	k, ok := s.kern[sid]
	if !ok {
		return 0, false
	}
	return k.inside, true
}

// Holds implements World.
func (s *stage) Holds(int, int, int, bool) bool { return s.holds }

// Wrote implements World.
func (s *stage) Wrote(pid int) (uint64, bool) {
	n, ok := s.wrote[pid]
	return n, ok
}

// SeenSince implements World.
func (s *stage) SeenSince() (uint64, bool) { return s.seenSince, s.seen }

// Begin implements Recorder.
func (s *stage) Begin(m session.Meta, _ kevent.Program) {
	for _, tp := range s.tapes {
		if tp.meta.Key == m.Key {
			s.t.Errorf("session %s began twice", m.Key)
		}
	}
	if !m.ID.Valid() || m.ID.Kind() != m.Kind {
		s.t.Errorf("id %q of a session of kind %q", m.ID, m.Kind)
	}
	s.tapes[m.ID] = &tape{meta: m, begins: 1, last: m.StartedAt}
}

// Write implements Recorder.
func (s *stage) Write(id session.ID, ev session.Event) {
	tp := s.tapes[id]
	switch {
	case tp == nil:
		s.t.Fatalf("%s event of a session that never began", ev.Type)
	case tp.end != nil:
		s.t.Errorf("%s event after the end", ev.Type)
	case ev.Type == session.TypeEnd:
		s.t.Error("the end came through Write")
	case ev.T.Before(tp.last):
		s.t.Errorf("%s event goes back in time by %v", ev.Type, tp.last.Sub(ev.T))
	}
	tp.last = ev.T
	ev.Data = slices.Clone(ev.Data)
	tp.events = append(tp.events, ev)
	if i := ev.Type.Stream().Index(); i >= 0 {
		tp.sum[i].Bytes += int64(len(ev.Data))
		tp.sum[i].Masked += int64(ev.Masked)
	}
	if ev.Type == session.TypeLoss && ev.Bytes > 0 {
		if i := ev.Stream.Index(); i >= 0 {
			tp.sum[i].Lost += ev.Bytes
		} else {
			tp.loose += ev.Bytes
		}
	}
}

// End implements Recorder.
func (s *stage) End(id session.ID, ev session.Event) {
	tp := s.tapes[id]
	switch {
	case tp == nil:
		s.t.Fatal("end of a session that never began")
	case tp.end != nil:
		s.t.Error("second end")
	case ev.Type != session.TypeEnd:
		s.t.Errorf("%s event came through End", ev.Type)
	case ev.T.Before(tp.last):
		s.t.Errorf("the end goes back in time by %v", tp.last.Sub(ev.T))
	}
	lost := slices.ContainsFunc(tp.events, func(e session.Event) bool { return e.Type == session.TypeLoss })
	if lost && ev.Status == session.Complete {
		s.t.Error("a recording with a loss ends complete")
	}
	if !lost && ev.Status == session.Lossy {
		s.t.Error("a recording without a loss ends lossy")
	}
	tp.end = &ev
}

// check holds what must be true between any two events.
func (s *stage) check() {
	s.t.Helper()
	for sid, k := range s.kern {
		tp := s.find(sid)
		if tp == nil {
			continue
		}
		for i, sum := range tp.sum {
			if got := sum.Bytes + sum.Masked + sum.Lost; got > int64(k.total[i]) {
				s.t.Fatalf("session %d: %d bytes of %s recorded, masked or lost; %d passed", sid, got, session.Streams[i], k.total[i])
			}
		}
	}
	for sid, k := range s.final {
		tp := s.find(sid)
		if tp == nil {
			continue
		}
		if tp.end == nil {
			s.t.Fatalf("session %d has no end after Final", sid)
		}
		for i, sum := range tp.sum {
			if got := sum.Bytes + sum.Masked + sum.Lost; got != int64(k.total[i]) {
				s.t.Fatalf("session %d ended: %d bytes of %s recorded, masked or lost; %d passed", sid, got, session.Streams[i], k.total[i])
			}
		}
		if got := tp.told() + tp.loose; got != int64(k.seq) {
			s.t.Fatalf("session %d ended: %d process events recorded or lost; %d happened", sid, got, k.seq)
		}
	}
}

// told counts the numbered events.
func (tp *tape) told() (n int64) {
	for _, e := range tp.events {
		switch e.Type {
		case session.TypeExec, session.TypeExit, session.TypeResize:
			n++
		}
	}
	return n
}

func (s *stage) find(sid uint64) *tape {
	for _, tp := range s.tapes {
		if tp.meta.Key == Key("boot", sid) {
			return tp
		}
	}
	return nil
}

// tape returns the recording of a session, which must be there.
func (s *stage) tape(sid uint64) *tape {
	s.t.Helper()
	tp := s.find(sid)
	if tp == nil {
		s.t.Fatalf("session %d is not recorded", sid)
	}
	return tp
}

func (s *stage) event(ev kevent.Event) {
	s.t.Helper()
	s.now += uint64(time.Microsecond)
	if ev.At == 0 {
		ev.At = s.now
	}
	s.tr.Event(&ev)
	clear(ev.Bytes) // the ring's memory is used again
	s.check()
}

func (s *stage) of(sid uint64) *kern {
	k := s.kern[sid]
	if k == nil {
		k = &kern{inside: 1}
		s.kern[sid] = k
	}
	return k
}

var (
	ttyExec  = kevent.Program{Kind: kevent.PutIn, PID: 100, LoginUID: kevent.NoLogin, FDs: [3]kevent.FD{kevent.FDTTY, kevent.FDTTY, kevent.FDTTY}, Rows: 24, Cols: 80, Argv: []byte("sh\x00-i\x00"), ArgvAll: 6}
	pipeExec = kevent.Program{Kind: kevent.PutIn, PID: 100, LoginUID: kevent.NoLogin, FDs: [3]kevent.FD{kevent.FDPipe, kevent.FDPipe, kevent.FDPipe}, Argv: []byte("cat\x00"), ArgvAll: 4}
)

func (s *stage) enter(sid uint64, p kevent.Program) {
	s.t.Helper()
	s.of(sid)
	s.event(kevent.Event{Type: kevent.Enter, Session: sid, Program: p})
}

var echoing = kevent.Term{Known: true, Echo: true, Canonical: true}

// data lets text pass, seen, with the terminal echoing.
func (s *stage) data(sid uint64, stream int, text string) {
	s.t.Helper()
	s.typed(sid, stream, text, echoing)
}

func (s *stage) typed(sid uint64, stream int, text string, term kevent.Term) {
	s.t.Helper()
	k := s.of(sid)
	off := k.total[stream]
	k.total[stream] += uint64(len(text))
	s.event(kevent.Event{Type: kevent.Data, Session: sid, Stream: stream, Off: off, Len: uint64(len(text)), Bytes: []byte(text), Term: term, Holder: 7, FD: 3})
}

// unseen lets n bytes pass that could not be read.
func (s *stage) unseen(sid uint64, stream, n int, why kevent.Unread) {
	s.t.Helper()
	k := s.of(sid)
	off := k.total[stream]
	k.total[stream] += uint64(n)
	s.event(kevent.Event{Type: kevent.Unseen, Session: sid, Stream: stream, Off: off, Len: uint64(n), Why: why, Holder: 7, FD: 3})
}

// drop lets n bytes pass for which the ring has no room.
func (s *stage) drop(sid uint64, stream, n int) { s.of(sid).total[stream] += uint64(n) }

func (s *stage) eof(sid uint64, streams ...int) {
	s.t.Helper()
	for _, i := range streams {
		s.event(kevent.Event{Type: kevent.EOF, Session: sid, Stream: i, Off: s.of(sid).total[i], Holder: 7, FD: 3})
	}
}

func (s *stage) numbered(sid uint64, ev kevent.Event) {
	s.t.Helper()
	k := s.of(sid)
	ev.Session, ev.Seq = sid, k.seq
	k.seq++
	s.event(ev)
}

func (s *stage) exec(sid uint64, pid int, argv string) {
	s.t.Helper()
	s.numbered(sid, kevent.Event{Type: kevent.Exec, Program: kevent.Program{PID: pid, PPID: 100, Argv: []byte(argv), ArgvAll: uint64(len(argv))}})
}

func (s *stage) resize(sid uint64, cols, rows uint16) {
	s.t.Helper()
	s.numbered(sid, kevent.Event{Type: kevent.Resize, Cols: cols, Rows: rows})
}

// exit ends the session's first process with a status as of wait(2).
func (s *stage) exit(sid uint64, status uint32) {
	s.t.Helper()
	k := s.of(sid)
	k.exited, k.code = true, status
	k.inside--
	s.numbered(sid, kevent.Event{Type: kevent.Exit, PID: 100, Code: status, First: true})
}

func (s *stage) pass(d time.Duration) {
	s.t.Helper()
	tick := max(50*time.Millisecond, d/100)
	for end := s.now + uint64(d); s.now < end; {
		s.now = min(end, s.now+uint64(tick))
		s.tr.Tick(s.now)
		s.check()
	}
}

// finish does what the caller of Due has to do and returns the sessions that
// were due.
func (s *stage) finish() []uint64 {
	s.t.Helper()
	due := s.tr.Due()
	for _, sid := range due {
		k, ok := s.kern[sid]
		if !ok {
			s.tr.Final(sid, Sums{}, false, s.now)
			continue
		}
		s.final[sid] = *k
		delete(s.kern, sid)
		s.tr.Final(sid, Sums{Total: k.total, Seq: k.seq, Code: k.code, Exit: k.exited}, true, s.now)
	}
	s.check()
	slices.Sort(due)
	return due
}

func (s *stage) wantDue(want ...uint64) {
	s.t.Helper()
	if got := s.finish(); !slices.Equal(got, want) {
		s.t.Fatalf("due are %v, want %v", got, want)
	}
}

// adopt gives the recordings that have no end to the present Tracker.
func (s *stage) adopt() {
	s.t.Helper()
	for sid, k := range s.kern {
		tp := s.find(sid)
		if tp == nil || tp.end != nil {
			continue
		}
		s.tr.Adopt(sid, Recorded{Meta: tp.meta, Sum: tp.sum}, s.now, ttyExec)
		if k.exited {
			s.tr.Tell(sid, Found{Exited: true, Code: k.code}, s.now)
		}
	}
	s.check()
}
