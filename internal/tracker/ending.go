package tracker

import "time"

// How a session's end is found. Times are in ns, as kevent.Event.At.
const (
	// quiet is how long the streams of a session whose processes have all ended
	// must have been still before it counts as over, where nobody read to the end.
	quiet = uint64(time.Second)
	// unread is the same where nobody has read an output so far and so nobody can
	// be asked whether he still will.
	unread = uint64(30 * time.Second)
	// look is how often the other end of a doubtful session is looked at.
	look = uint64(2 * time.Second)
	// linger is how long a session that shares another's terminal goes on after
	// its first process: its last words are still on their way.
	linger = uint64(200 * time.Millisecond)
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
		return s.abandoned(now) && t.gone(s, now)
	}
	if s.shares && s.tty {
		return now >= s.exitAt+linger
	}
	if s.read() {
		return true
	}
	if now < max(s.lastAt, s.exitAt)+quiet {
		return false
	}
	// Somebody may still read what lies there: a busy runtime can take seconds.
	// A process inside may still write.
	inside, ok := t.world.Inside(s.sid)
	if s.unseen() {
		return (!ok || inside == 0) && now >= max(s.lastAt, s.exitAt)+unread
	}
	return t.gone(s, now)
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

// unseen reports whether no reader is known of any output that was not read to
// its end.
func (s *open) unseen() bool {
	for i := 1; i < len(s.has); i++ {
		if s.has[i] && !s.eof[i] && s.holder[i] != 0 {
			return false
		}
	}
	return true
}

// abandoned reports whether there is reason to look for the other end of a
// session whose first process lives.
func (s *open) abandoned(now uint64) bool {
	return s.tty || s.read() && now >= s.lastAt+stuck
}

// gone reports whether the other end of all outputs has been closed; what holds
// the end of stdin does not count, it is closed first in many a session. It looks
// only now and then.
func (t *Tracker) gone(s *open, now uint64) bool {
	if now < s.looked+look || now < s.lastAt+look {
		return false
	}
	s.looked = now
	seen := false
	for i := 1; i < len(s.has); i++ {
		if !s.has[i] || s.holder[i] == 0 || s.exited && s.eof[i] {
			continue
		}
		if t.world.Holds(s.holder[i], s.fd[i], s.ttyIndex, s.tty) {
			return false
		}
		seen = true
	}
	return seen
}

// Tick tells the time. Call it some 20 times a second while Busy.
func (t *Tracker) Tick(now uint64) {
	t.expire(now)
	for _, s := range t.open {
		if s.mask.Pending() > 0 {
			s.items(s.mask.Tick(s.when(now)))
		}
		t.consider(s, now)
	}
}

// Tell tells of a session what the kernel knows, where the events that said so
// were read by a recorder that is no more.
func (t *Tracker) Tell(sid uint64, f Found, now uint64) {
	s := t.open[sid]
	if s == nil {
		return
	}
	for i, h := range f.Ends.Holder {
		if s.holder[i] == 0 {
			s.holder[i], s.fd[i] = h, f.Ends.FD[i]
		}
		s.eof[i] = s.eof[i] || f.Ends.EOF[i]
	}
	if f.Exited && !s.exited {
		s.exited, s.code, s.exitAt = true, f.Code, now
	}
	t.consider(s, now)
}
