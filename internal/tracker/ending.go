package tracker

import "time"

// How a session's end is found. Times are in ns, as kevent.Event.At.
const (
	// quiet is how long the streams of a session whose processes have all ended
	// must have been still before it counts as over, where nobody read to the end.
	quiet = uint64(time.Second)
	// look is how often the other end of a doubtful session is looked at.
	look = uint64(2 * time.Second)
	// linger is how long a session that shares another's terminal goes on after
	// its first process: its last words are still on their way.
	linger = uint64(20 * time.Millisecond)
	// stuck is after how long a session whose streams are all at their end is
	// looked at although its first process lives.
	stuck = uint64(5 * time.Second)
)

// consider makes a session due when it is over.
func (t *Tracker) consider(s *open, now uint64) {
	if !s.ending && t.over(s, now) {
		s.ending = true
		t.due = append(t.due, s.sid)
	}
}

func (t *Tracker) over(s *open, now uint64) bool {
	if !s.exited {
		return t.gone(s, now)
	}
	if s.nested && s.tty {
		return now >= s.exitAt+linger
	}
	if s.read() {
		return true
	}
	last := max(s.lastAt, s.exitAt)
	if now < last+quiet {
		return false
	}
	if n, ok := t.world.Inside(s.sid); !ok || n == 0 {
		return true
	}
	return t.gone(s, now) // a process outlives the first one and keeps a stream
}

// read reports whether somebody has read every output to its end.
func (s *open) read() bool {
	any := false
	for i := 1; i < len(s.has); i++ {
		if s.has[i] && !s.eof[i] {
			return false
		}
		any = any || s.has[i]
	}
	return any || !s.has[0]
}

// gone reports whether the other end of the streams has been closed. It looks
// only now and then, and only when there is reason to.
func (t *Tracker) gone(s *open, now uint64) bool {
	if s.holder == 0 || now < s.looked+look || now < s.lastAt+look {
		return false
	}
	if !s.tty && !s.exited && !(s.read() && now >= s.lastAt+stuck) {
		return false
	}
	s.looked = now
	return !t.world.Holds(s.holder, s.fd, s.ttyIndex, s.tty)
}

// Tick tells the time. Call it some 20 times a second while Busy.
func (t *Tracker) Tick(now uint64) {
	t.expire(now)
	for _, s := range t.open {
		if s.mask.Pending() > 0 {
			s.items(s.mask.Tick(t.wall(now)))
		}
		t.consider(s, now)
	}
}

// Exited tells that the first process of a session has ended, where the event
// that says so was read by a recorder that is no more.
func (t *Tracker) Exited(sid uint64, code uint32, now uint64) {
	if s := t.open[sid]; s != nil && !s.exited {
		s.exited, s.code, s.exitAt = true, code, now
		t.consider(s, now)
	}
}
