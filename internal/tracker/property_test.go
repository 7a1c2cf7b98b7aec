package tracker

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/session"
)

// Whatever happens in whatever order, and whatever does not come through: what
// is recorded, masked and lost is what passed. The stage checks it at each step.
func TestSumsAreExactWhateverHappens(t *testing.T) {
	for seed := range uint64(200) {
		walk(t, rand.New(rand.NewPCG(seed, 1)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzSumsAreExact(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) { walk(t, rand.New(rand.NewPCG(a, b))) })
}

func walk(t *testing.T, r *rand.Rand) {
	s := newStage(t)
	s.cfg.Stdin = []session.Policy{session.Masked, session.Full, session.Off}[r.IntN(3)]
	s.restart()
	const sessions = 4
	for range 150 {
		step(s, r, 1+r.Uint64N(sessions))
	}
	s.pass(3 * time.Second) // what began without telling is taken up
	for sid := uint64(1); sid <= sessions; sid++ {
		k, ok := s.kern[sid]
		if !ok || s.find(sid) == nil || s.find(sid).end != nil {
			continue
		}
		if !k.exited {
			s.exit(sid, uint32(r.IntN(2)*9))
		}
		k.inside = 0
		s.eof(sid, 1, 2)
	}
	s.pass(5 * time.Second)
	s.finish()
	s.pass(61 * time.Second)
	s.finish()
	for _, tp := range s.tapes {
		if tp.end == nil {
			t.Errorf("session %s has no end: %q", tp.meta.Key, tp.lines())
		}
	}
	if s.tr.Busy() || len(s.tr.unborn) != 0 || s.tr.kept != 0 || len(s.tr.rejected) != 0 {
		t.Errorf("left behind: %d open, %d unborn with %d bytes, %d rejected", len(s.tr.open), len(s.tr.unborn), s.tr.kept, len(s.tr.rejected))
	}
}

func step(s *stage, r *rand.Rand, sid uint64) {
	k, alive := s.kern[sid]
	if _, over := s.final[sid]; over {
		return
	}
	if !alive {
		born(s, r, sid)
		return
	}
	text := strings.Repeat("x", 1+r.IntN(100))
	stream := r.IntN(3)
	term := kevent.Term{Known: true, Echo: r.IntN(2) == 0, Canonical: r.IntN(2) == 0}
	switch r.IntN(13) {
	case 0, 1, 2:
		s.typed(sid, stream, text, term)
	case 3:
		s.drop(sid, stream, 1+r.IntN(10000))
	case 4:
		s.unseen(sid, stream, 1+r.IntN(100), kevent.Unread(1+r.IntN(4)))
	case 5:
		s.eof(sid, stream)
	case 6:
		if s.find(sid) != nil {
			s.exec(sid, 200, "ls\x00")
		}
	case 7:
		if s.find(sid) != nil {
			k.seq++ // dropped
		}
	case 8:
		if s.find(sid) != nil {
			s.resize(sid, 80, 24)
		}
	case 9:
		if s.find(sid) != nil && !k.exited {
			s.exit(sid, uint32(r.IntN(3))<<8)
		}
	case 10:
		s.pass(time.Duration(r.IntN(3000)) * time.Millisecond)
	case 11:
		s.finish()
	case 12: // a second beginning of what is open, as after a race of two processors
		if s.find(sid) != nil {
			s.enter(sid, pipeExec)
		}
	}
}

func born(s *stage, r *rand.Rand, sid uint64) {
	p := pipeExec
	if r.IntN(2) == 0 {
		p = ttyExec
	}
	switch r.IntN(4) {
	case 0:
		s.conceive(sid)
		s.typed(sid, 0, "early", echoing)
		s.drop(sid, 0, r.IntN(50))
		s.enter(sid, p)
	case 1:
		s.discover[sid] = p
		s.drop(sid, 1, r.IntN(50))
		s.tr.Missing([]uint64{sid}, s.now)
		s.of(sid)
	default:
		s.enter(sid, p)
	}
}
