package tracker

import (
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/session"
)

func TestBytesThatTheRingHadNoRoomForAreCounted(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.data(1, 1, "head")
	s.drop(1, 1, 4096)
	s.data(1, 1, "tail")
	s.drop(1, 2, 1)
	s.eof(1, 1, 2)
	s.exit(1, 0)
	s.wantDue(1)
	s.wantLines(1, `stdout "head"`, "loss stdout 4096 ring full", `stdout "tail"`, "exit 100 code 0",
		"loss stderr 1 ring full", "end lossy code 0")
	if got := s.tr.Stats(); got.Lost != 4097 || got.Ended[session.Lossy] != 1 {
		t.Errorf("stats are %+v", got)
	}
}

func TestBytesLostBehindTheLastEventAreCountedAtTheEnd(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.drop(1, 0, 10)
	s.drop(1, 1, 20)
	s.exit(1, 0)
	s.eof(1, 1)
	s.wantDue(1)
	s.wantLines(1, "exit 100 code 0", "loss stdin 10 ring full", "loss stdout 20 ring full", "end lossy code 0")
}

func TestBytesThatCouldNotBeReadAreLostWithTheirReason(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.unseen(1, 0, 5, kevent.Before)
	s.unseen(1, 1, 7, kevent.Fault)
	s.drop(1, 1, 3)
	s.unseen(1, 1, 70000, kevent.Moved)
	s.unseen(1, 2, 1<<30, kevent.Large)
	s.exit(1, 0)
	s.eof(1, 1, 2)
	s.wantDue(1)
	s.wantLines(1, "loss stdin 5 written before the session began", "loss stdout 7 memory not readable", "loss stdout 3 ring full",
		"loss stdout 70000 moved inside the kernel", "loss stderr 1073741824 call too large", "exit 100 code 0", "end lossy code 0")
}

func TestHeldInputComesBeforeALossOfInput(t *testing.T) {
	for name, lose := range map[string]func(*stage){
		"that the ring had no room for": func(s *stage) { s.drop(1, 0, 5); s.typed(1, 0, "x", echoing) },
		"that could not be read":        func(s *stage) { s.unseen(1, 0, 5, kevent.Fault) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.enter(1, ttyExec)
			s.typed(1, 0, "held", kevent.Term{Known: true})
			lose(s)
			tp := s.tape(1)
			if len(tp.events) < 2 || tp.events[0].Masked != 4 || tp.events[1].Type != session.TypeLoss || tp.events[1].Bytes != 5 {
				t.Errorf("recorded %q", tp.lines())
			}
		})
	}
}

func TestMissingProcessEventsAreCounted(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.of(1).seq = 2 // two that the ring had no room for
	s.exec(1, 101, "a\x00")
	s.of(1).seq += 3
	s.resize(1, 80, 24)
	s.of(1).seq++
	s.exit(1, 0)
	s.of(1).seq += 4
	s.eof(1, 1, 2)
	s.wantDue(1)
	// In one sum at the end: on two processors the order of events is not that of
	// their numbers.
	s.wantLines(1, `exec 101 ["a"]`, "resize 80x24", "exit 100 code 0", "loss  10 ring full", "end lossy code 0")
}

func TestExitThatTheRingHadNoRoomForIsKnownFromTheKernel(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.eof(1, 1, 2)
	k := s.of(1)
	k.exited, k.code, k.inside = true, 5<<8, 0
	k.seq++
	s.tr.Tell(1, Found{Exited: true, Code: k.code}, s.now)
	s.wantDue(1)
	s.wantLines(1, "loss  1 ring full", "end lossy code 5")
}

func TestSessionThatTheKernelForgotEndsTorn(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.data(1, 1, "x")
	s.exit(1, 0)
	s.eof(1, 1, 2)
	delete(s.kern, 1)
	s.wantDue(1)
	end := s.tape(1).end
	if end == nil || end.Status != session.Torn || end.Why == "" {
		t.Errorf("end is %+v", end)
	}
}

func TestCaptureThatBeganLateIsSaid(t *testing.T) {
	const began = uint64(time.Second)
	for name, c := range map[string]struct {
		seen  bool
		since uint64
		wrote map[int]uint64
		late  bool
	}{
		"seen before it began":                          {seen: true, since: began},
		"not seen at all":                               {late: true},
		"seen soon, and nothing written since":          {seen: true, since: began + 1e6, wrote: map[int]uint64{100: 9}},
		"seen soon, and something written since":        {seen: true, since: began + 1e6, wrote: map[int]uint64{100: 10}, late: true},
		"seen soon, and the process is gone":            {seen: true, since: began + 1e6, late: true},
		"seen late, whatever was written":               {seen: true, since: began + uint64(time.Minute), wrote: map[int]uint64{100: 9}, late: true},
		"seen at the last moment that proves something": {seen: true, since: began + uint64(maxLate), wrote: map[int]uint64{100: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.seen, s.seenSince = c.seen, c.since
			if c.wrote != nil {
				s.wrote = c.wrote
			}
			p := pipeExec
			p.FDs[0], p.Written = kevent.FDNull, 9
			s.of(1)
			s.event(kevent.Event{Type: kevent.Enter, At: began, Session: 1, Program: p})
			s.data(1, 1, "x")
			s.exit(1, 0)
			s.eof(1, 1, 2)
			s.wantDue(1)
			want := []string{`stdout "x"`, "exit 100 code 0", "end complete code 0"}
			if c.late {
				want = []string{"loss stdout -1 " + WhyLate, "loss stderr -1 " + WhyLate, `stdout "x"`, "exit 100 code 0", "end lossy code 0"}
			}
			s.wantLines(1, want...)
		})
	}
}

func TestRestartedRecorderGoesOnWhereTheRecordingStops(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.data(1, 1, "before")
	s.restart()
	s.adopt()
	s.data(1, 1, " after")
	s.exit(1, 0)
	s.eof(1, 1)
	s.wantDue(1)
	s.wantLines(1, `stdout "before"`, "resume recorder restarted", `stdout " after"`, "exit 100 code 0", "end complete code 0")
}

func TestBytesThatPassedWhileNoRecorderRanAreLostWithThatReason(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.data(1, 1, "before")
	s.restart()
	s.drop(1, 1, 100)
	s.drop(1, 0, 10)
	s.adopt()
	s.data(1, 1, "after")
	s.drop(1, 1, 1)
	s.data(1, 1, "later")
	s.data(1, 0, "id\r")
	s.exit(1, 0)
	s.eof(1, 1)
	s.wantDue(1)
	s.wantLines(1, `stdout "before"`, "resume recorder restarted", "loss stdout 100 recorder was down", `stdout "after"`,
		"loss stdout 1 ring full", `stdout "later"`, "loss stdin 10 recorder was down", `stdin "id\r"`, "exit 100 code 0", "end lossy code 0")
}

func TestSessionThatEndedWhileNoRecorderRanIsClosed(t *testing.T) {
	s := newStage(t)
	s.enter(1, ttyExec)
	s.data(1, 1, "before")
	s.restart()
	s.drop(1, 1, 5)
	k := s.of(1)
	k.exited, k.code, k.inside = true, 7<<8, 0
	s.adopt()
	s.pass(31 * time.Second)
	s.wantDue(1)
	s.wantLines(1, `stdout "before"`, "resume recorder restarted", "loss stdout 5 recorder was down", "end lossy code 7")
}

func TestSessionThatBeganWhileNoRecorderRanIsTakenUp(t *testing.T) {
	s := newStage(t)
	s.discover[1] = pipeExec
	s.drop(1, 1, 50)
	s.tr.Missing([]uint64{1}, s.now)
	s.tr.Missing([]uint64{1}, s.now)
	s.data(1, 1, "rest")
	s.pass(1100 * time.Millisecond)
	s.exit(1, 0)
	s.eof(1, 1, 2)
	s.wantDue(1)
	s.wantLines(1, "loss stdout 50 recorder was down", `stdout "rest"`, "exit 100 code 0", "end lossy code 0")
	if got := s.tr.Stats().Begun[session.Exec]; got != 1 {
		t.Errorf("%d begun", got)
	}
}

func TestEventOfAnUnknownSessionDiscoversIt(t *testing.T) {
	s := newStage(t)
	s.discover[1] = pipeExec
	s.drop(1, 1, 50)
	s.data(1, 1, "rest")
	s.pass(1100 * time.Millisecond)
	s.wantLines(1, "loss stdout 50 recorder was down", `stdout "rest"`)
}

func TestEventOfASessionThatNobodyKnowsIsAnOrphan(t *testing.T) {
	s := newStage(t)
	s.data(9, 1, "whose?")
	s.data(9, 1, "still nobody's")
	s.event(kevent.Event{Type: kevent.Exit, PID: 5})
	s.wantNone()
	s.pass(1100 * time.Millisecond)
	if got := s.tr.Stats().Orphans; got != 2 {
		t.Errorf("%d orphans, want 2", got)
	}
	s.wantDue(9)
}

func TestStopWhileSessionsAreOpenTearsThem(t *testing.T) {
	s := newStage(t)
	s.enter(1, pipeExec)
	s.data(1, 1, "x")
	s.drop(1, 1, 3)
	s.enter(2, pipeExec)
	s.exit(2, 0)
	s.enter(3, ttyExec)
	s.typed(3, 0, "held", kevent.Term{Known: true})
	s.tr.StopAll("recorder was stopped", s.now, func(sid uint64) (Sums, bool) {
		k := *s.of(sid)
		s.final[sid] = k
		return Sums{Total: k.total, Seq: k.seq, Code: k.code, Exit: k.exited}, true
	})
	s.check()
	s.wantLines(1, `stdout "x"`, "loss stdout 3 ring full", "end torn unknown")
	s.wantLines(2, "exit 100 code 0", "end complete code 0")
	s.wantLines(3, "stdin masked 4", "end torn unknown")
	if got := s.tape(1).end.Why; got != "recorder was stopped" {
		t.Errorf("why is %q", got)
	}
	if s.tr.Busy() {
		t.Error("busy after StopAll")
	}
}

func TestFinalOfAnUnknownSessionDoesNothing(t *testing.T) {
	s := newStage(t)
	s.tr.Final(12, Sums{Total: [3]uint64{1, 2, 3}}, true, s.now)
	s.tr.Tell(12, Found{Exited: true, Code: 0}, s.now)
	s.wantNone()
}
