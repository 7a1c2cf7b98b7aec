package recording

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"time"

	"github.com/kubetape/kubetape/internal/session"
)

// tally sums up the events of a recording: what the end line says, and what a
// verifier compares it with.
type tally struct {
	sums   [len(session.Streams)]hash.Hash
	totals [len(session.Streams)]session.Totals // without SHA256
	losses int                                  // loss events
	events int64
	last   time.Time // of the last event
}

func newTally() tally {
	var t tally
	for i := range t.sums {
		t.sums[i] = sha256.New()
	}
	return t
}

// add counts ev, which has passed check.
func (t *tally) add(ev *session.Event) {
	t.events++
	t.last = ev.T
	if ev.Type == session.TypeLoss {
		t.losses++
		if i := ev.Stream.Index(); i >= 0 && ev.Bytes > 0 {
			t.totals[i].Lost += ev.Bytes
		}
		return
	}
	i := ev.Type.Stream().Index()
	if i < 0 {
		return
	}
	t.totals[i].Masked += int64(ev.Masked)
	t.totals[i].Bytes += int64(len(ev.Data))
	t.sums[i].Write(ev.Data) // a hash does not fail
}

func (t *tally) of(s session.Stream) session.Totals {
	i := s.Index()
	if i < 0 {
		return session.Totals{}
	}
	sum := t.totals[i]
	sum.SHA256 = hex.EncodeToString(t.sums[i].Sum(nil))
	return sum
}

// streams returns the totals of the streams that a session has: a terminal
// session has no stderr, unless something was recorded as such.
func (t *tally) streams(tty bool) map[session.Stream]session.Totals {
	m := make(map[session.Stream]session.Totals, len(session.Streams))
	for i, s := range session.Streams {
		if s == session.Stderr && tty && t.totals[i] == (session.Totals{}) {
			continue
		}
		m[s] = t.of(s)
	}
	return m
}
