package tracker

import (
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/session"
)

func (s *stage) conceive(sid uint64) {
	s.t.Helper()
	s.of(sid)
	s.event(kevent.Event{Type: kevent.Unborn, Session: sid})
}

func TestWhatWasWrittenBeforeTheBirthIsReplayed(t *testing.T) {
	s := newStage(t)
	s.conceive(1)
	s.data(1, 0, "early ")
	s.data(1, 0, "bird")
	s.wantNone()
	s.now += uint64(time.Second)
	s.enter(1, pipeExec)
	s.data(1, 1, "worm")
	s.exit(1, 0)
	s.eof(1, 1, 2)
	s.wantDue(1)
	s.wantLines(1, `stdin "early "`, `stdin "bird"`, `stdout "worm"`, "exit 100 code 0", "end complete code 0")
	if tp := s.tape(1); tp.events[0].T.Before(tp.meta.StartedAt) {
		t.Error("the first event lies before the session's beginning")
	}
}

func TestEndOfFileBeforeTheBirthCounts(t *testing.T) {
	s := newStage(t)
	s.conceive(1)
	s.eof(1, 1, 2)
	s.enter(1, pipeExec)
	s.exit(1, 0)
	s.wantDue(1)
}

func TestLossBeforeTheBirthIsCounted(t *testing.T) {
	s := newStage(t)
	s.conceive(1)
	s.drop(1, 0, 11)
	s.data(1, 0, "x")
	s.unseen(1, 0, 3, kevent.Moved)
	s.drop(1, 0, 22)
	s.enter(1, pipeExec)
	s.exit(1, 0)
	s.eof(1, 1, 2)
	s.wantDue(1)
	s.wantLines(1, "loss stdin 11 ring full", `stdin "x"`, "loss stdin 3 moved inside the kernel", "exit 100 code 0",
		"loss stdin 22 ring full", "end lossy code 0")
}

func TestPipesThatNeverBecomeASessionAreGivenUp(t *testing.T) {
	s := newStage(t)
	s.discover[1] = kevent.Program{} // the kernel has it, not born
	s.conceive(1)
	s.data(1, 0, "x")
	s.pass(59 * time.Second)
	s.wantDue()
	s.pass(2 * time.Second)
	s.wantDue(1)
	s.wantNone()
	if s.tr.kept != 0 {
		t.Errorf("%d bytes still held", s.tr.kept)
	}
}

func TestBirthThatIsTurnedAwayLetsGoOfItsBytes(t *testing.T) {
	s := newStage(t)
	s.boxed = false
	s.conceive(1)
	s.data(1, 0, "x")
	s.enter(1, pipeExec)
	s.wantNone()
	s.wantDue(1)
	if s.tr.kept != 0 || len(s.tr.unborn) != 0 {
		t.Errorf("%d bytes held for %d", s.tr.kept, len(s.tr.unborn))
	}
}

func TestBytesHeldForTheUnbornAreBoundedAndTheRestCounted(t *testing.T) {
	s := newStage(t)
	s.conceive(1)
	piece := string(make([]byte, 1<<20))
	for range 9 {
		s.data(1, 0, piece)
	}
	if s.tr.kept > maxKept {
		t.Fatalf("%d bytes held, at most %d", s.tr.kept, maxKept)
	}
	s.enter(1, pipeExec)
	if s.tr.kept != 0 {
		t.Errorf("%d bytes still held", s.tr.kept)
	}
	s.exit(1, 0)
	s.eof(1, 1, 2)
	s.wantDue(1)
	sum := s.tape(1).sum[0]
	if sum.Bytes != 7<<20 || sum.Lost != 2<<20 {
		t.Errorf("%d bytes kept, %d lost", sum.Bytes, sum.Lost)
	}
}

func TestNumberOfTheUnbornIsBoundedAndTheOldestGoes(t *testing.T) {
	s := newStage(t)
	for sid := uint64(1); sid <= maxUnborn+1; sid++ {
		s.conceive(sid)
	}
	if n := len(s.tr.unborn); n != maxUnborn {
		t.Errorf("%d unborn, want %d", n, maxUnborn)
	}
	s.wantDue(1)
	s.enter(2, pipeExec)
	s.tape(2)
}

func TestUnbornSessionIsConceivedOnce(t *testing.T) {
	s := newStage(t)
	s.conceive(1)
	s.data(1, 0, "x")
	s.conceive(1)
	s.enter(1, pipeExec)
	s.conceive(1)
	s.data(1, 0, "y")
	if got := s.tape(1).text(session.Stdin); got != "xy" {
		t.Errorf("stdin is %q", got)
	}
}

func TestUnbornSessionIsFoundAgainAfterARestart(t *testing.T) {
	s := newStage(t)
	s.conceive(1)
	s.restart()
	s.discover[1] = kevent.Program{} // of no kind yet
	s.data(1, 0, "early")
	s.enter(1, pipeExec)
	if got := s.tape(1).text(session.Stdin); got != "early" {
		t.Errorf("stdin is %q", got)
	}
}

func TestSessionThatBeganWithoutTellingIsTakenUpWithWhatWasKept(t *testing.T) {
	s := newStage(t)
	s.discover[1] = pipeExec
	s.drop(1, 1, 50)
	s.data(1, 1, "rest")
	s.wantNone() // its beginning may still come
	s.pass(3 * time.Second)
	s.exit(1, 0)
	s.eof(1, 1, 2)
	s.wantDue(1)
	tp := s.tape(1)
	if got := tp.text(session.Stdout); got != "rest" || tp.sum[1].Lost != 50 {
		t.Errorf("recorded %q", tp.lines())
	}
}

func TestBeginningThatComesAfterAllIsTheBeginning(t *testing.T) {
	s := newStage(t)
	s.tr.Missing([]uint64{1}, s.now)
	p := pipeExec
	p.Argv, p.ArgvAll = []byte("told\x00"), 5
	s.enter(1, p)
	if got := s.tape(1).meta.Argv; len(got) != 1 || got[0] != "told" {
		t.Errorf("argv is %q", got)
	}
}
