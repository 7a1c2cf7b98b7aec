package tracker

import (
	"time"

	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/mask"
	"github.com/kubetape/kubetape/internal/session"
)

// open is a session that goes on.
type open struct {
	t        *Tracker
	sid      uint64
	id       session.ID
	tty      bool
	ttyIndex int
	shares   bool // its terminal is another session's too
	began    uint64
	base     time.Time // began, as the time of day
	policy   session.Policy
	mask     *mask.Mask
	has      [3]bool // streams that are captured

	next   [3]uint64 // offset that the next bytes of a stream should have
	told   uint64    // process and size events that came, or were lost and said so
	gapWhy [3]string // why bytes of a stream are missing, if some are
	last   time.Time
	lossy  bool

	exited bool
	code   uint32
	exitAt uint64
	eof    [3]bool
	lastAt uint64 // last sign of life of the streams
	looked uint64 // when the holders were last looked at
	holder [3]int // process at the other end of each stream, 0: not seen
	fd     [3]int
	ending bool
}

// when turns a time of the kernel into the time of day, with the difference as it
// was when the session began: within a recording the clock is steady.
func (s *open) when(at uint64) time.Time { return s.base.Add(time.Duration(int64(at - s.began))) }

// write passes an event on. Times in a recording never go back.
func (s *open) write(ev session.Event) {
	if ev.T.Before(s.last) {
		ev.T = s.last
	}
	s.last = ev.T
	switch ev.Type {
	case session.TypeLoss:
		s.lossy = true
		if ev.Bytes > 0 && ev.Stream != "" {
			s.t.stats.Lost += uint64(ev.Bytes)
		}
	case session.TypeStdin, session.TypeStdout, session.TypeStderr:
		s.t.stats.Bytes[ev.Type.Stream().Index()] += uint64(len(ev.Data))
		s.t.stats.Masked += uint64(ev.Masked)
	}
	s.t.rec.Write(s.id, ev)
}

// missing says why bytes that do not come through next are missing.
func (s *open) missing(why string) { s.gapWhy = [3]string{why, why, why} }

// gap accounts for bytes of a stream that passed and did not come through.
func (s *open) gap(stream int, upTo uint64, at time.Time) {
	if upTo <= s.next[stream] {
		return
	}
	s.write(session.Event{T: at, Type: session.TypeLoss, Stream: session.Streams[stream], Bytes: int64(upTo - s.next[stream]), Why: s.gapWhy[stream]})
	s.next[stream] = upTo
}

func (s *open) data(ev *kevent.Event) {
	at := s.when(ev.At)
	if ev.Stream == 0 { // what is held back came before what is missing or new
		if ev.Off > s.next[0] || ev.Type == kevent.Unseen {
			s.items(s.mask.Flush())
		}
	}
	s.gap(ev.Stream, ev.Off, at)
	s.gapWhy[ev.Stream] = WhyRing
	s.next[ev.Stream] = max(s.next[ev.Stream], ev.Off+ev.Len)
	s.lastAt, s.holder[ev.Stream], s.fd[ev.Stream] = ev.At, ev.Holder, ev.FD
	s.eof[ev.Stream] = false // a terminal can come to an end more than once
	if ev.Type == kevent.Unseen {
		s.write(session.Event{T: at, Type: session.TypeLoss, Stream: session.Streams[ev.Stream], Bytes: int64(ev.Len), Why: ev.Why.String()})
		return
	}
	if ev.Stream == 0 {
		s.items(s.mask.Input(at, ev.Bytes, state(ev)))
		return
	}
	if s.tty {
		s.items(s.mask.Output(at, ev.Bytes))
	}
	s.write(session.Event{T: at, Type: session.Type(session.Streams[ev.Stream]), Data: ev.Bytes})
}

func state(ev *kevent.Event) mask.State {
	t := ev.Term
	st := mask.State{Echo: t.Echo, Icanon: t.Canonical}
	if t.Changed != 0 && t.Changed <= ev.At {
		st.Changed, st.PrevEcho, st.PrevIcanon = true, t.PrevEcho, t.PrevCanonical
		st.Since = time.Duration(ev.At - t.Changed)
	}
	return st
}

func (s *open) items(items []mask.Item) {
	for _, it := range items {
		s.write(session.Event{T: it.T, Type: session.TypeStdin, Data: it.Data, Masked: it.Masked})
	}
}

func (s *open) process(ev *kevent.Event) {
	p, at := &ev.Program, s.when(ev.At)
	s.told++
	s.write(session.Event{
		T: at, Type: session.TypeExec, PID: p.PID, PPID: p.PPID, UID: int(p.UID),
		Argv: SplitArgv(p.Argv), ArgvCut: int(p.ArgvAll) - len(p.Argv),
	})
}

func (s *open) exit(ev *kevent.Event) {
	at := s.when(ev.At)
	s.told++
	code, sig := waitStatus(ev.Code)
	s.write(session.Event{T: at, Type: session.TypeExit, PID: ev.PID, ExitCode: code, Signal: sig})
	if ev.First {
		s.exited, s.code, s.exitAt = true, ev.Code, ev.At
	}
}

func (s *open) resize(ev *kevent.Event) {
	at := s.when(ev.At)
	s.told++
	s.write(session.Event{T: at, Type: session.TypeResize, Cols: int(ev.Cols), Rows: int(ev.Rows)})
}

// waitStatus takes wait(2)'s number apart: an exit code, or a signal.
func waitStatus(c uint32) (*int, int) {
	if sig := int(c & 0x7f); sig != 0 {
		return nil, sig
	}
	code := int(c >> 8 & 0xff)
	return &code, 0
}

func (s *open) close(k Sums, known bool, now uint64, why string) {
	s.items(s.mask.Flush())
	at := s.when(now)
	status := session.Complete
	if known {
		for i := range k.Total {
			s.gap(i, k.Total[i], at)
		}
		if k.Seq > s.told {
			s.write(session.Event{T: at, Type: session.TypeLoss, Bytes: int64(k.Seq - s.told), Why: s.gapWhy[1]})
		}
		if k.PutOut {
			s.write(session.Event{T: at, Type: session.TypeLoss, Stream: session.Stdout, Bytes: -1, Why: WhyPutOut})
		}
		if k.Exit && !s.exited {
			s.exited, s.code = true, k.Code
		}
	} else {
		why = "the kernel lost sight of the session"
	}
	if s.lossy {
		status = session.Lossy
	}
	if why != "" {
		status = session.Torn
	}
	end := session.Event{T: at, Type: session.TypeEnd, Status: status, Why: why}
	if at.Before(s.last) {
		end.T = s.last
	}
	if s.exited {
		end.ExitCode, end.Signal = waitStatus(s.code)
	}
	s.t.stats.Ended[status]++
	s.t.rec.End(s.id, end)
}
