package tracker

import (
	"time"

	"github.com/kubetape/kubetape/internal/kevent"
)

// unborn is a session that may begin: pipes are watched, and what has been
// written to them is kept until the program behind them runs.
type unborn struct {
	since  uint64
	asked  uint64         // when the kernel was last asked whether it has begun
	events []kevent.Event // with bytes of their own
	size   int
}

const (
	// patience is how long a program may take from its runtime's start to its
	// own. A container can be created some time before it is started.
	patience = uint64(60 * time.Second)
	// overdue is after how long the kernel is asked what became of one.
	overdue = uint64(time.Second)
	// maxKept bounds the bytes held for all unborn sessions. What does not fit
	// turns up as lost when the session begins.
	maxKept = 8 << 20
	// maxUnborn bounds their number: a login attempt makes some.
	maxUnborn = 1024
	eventSize = 256 // of an event without its bytes, about
)

// conceive begins to keep what comes for a session that has not begun.
func (t *Tracker) conceive(sid, now uint64) {
	if t.open[sid] != nil || t.unborn[sid] != nil || t.rejected[sid] || sid == 0 {
		return
	}
	if len(t.unborn) >= maxUnborn {
		t.dropOldest()
	}
	t.unborn[sid] = &unborn{since: now, asked: now}
}

func (t *Tracker) dropOldest() {
	var oldest uint64
	for sid, u := range t.unborn {
		if oldest == 0 || u.since < t.unborn[oldest].since {
			oldest = sid
		}
	}
	t.drop(oldest)
}

func (t *Tracker) drop(sid uint64) {
	t.log.Debug("session was never born", "sid", sid)
	t.kept -= t.unborn[sid].size
	delete(t.unborn, sid)
	t.rejected[sid] = true
	t.due = append(t.due, sid)
}

func (t *Tracker) keep(u *unborn, ev *kevent.Event) {
	n := len(ev.Bytes) + eventSize
	if t.kept+n > maxKept {
		return
	}
	e := *ev
	e.Bytes = append([]byte(nil), ev.Bytes...)
	u.events = append(u.events, e)
	u.size += n
	t.kept += n
}

// replay writes what passed before the session began, as of its beginning.
func (s *open) replay(u *unborn) {
	for i := range u.events {
		s.take(&u.events[i])
	}
}

// expire gives up on sessions that were never born, and takes up those that
// began without telling: their beginning did not fit into the ring, or was read
// by a recorder that was killed.
func (t *Tracker) expire(now uint64) {
	for sid, u := range t.unborn {
		if now < u.asked+overdue {
			continue
		}
		u.asked = now
		f, ok := t.world.Discover(sid)
		switch {
		case !ok:
			t.stats.Orphans += uint64(len(u.events))
			t.drop(sid)
		case f.Program.Kind != 0:
			t.takeUp(sid, f, now)
		case now > u.since+patience:
			t.drop(sid)
		}
	}
}
