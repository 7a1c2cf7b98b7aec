package tracker

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubetape/kubetape/internal/cgroup"
	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/mask"
	"github.com/kubetape/kubetape/internal/session"
)

// enter decides whether what looks like the beginning of a session is one.
// gap is why bytes are missing that passed before the first that comes.
func (t *Tracker) enter(ev *kevent.Event, gap string) {
	if t.open[ev.Session] != nil {
		// Its streams are joined before its beginning is told: another processor
		// can be first in the ring, and then the session was discovered by that.
		return
	}
	p := &ev.Program
	kind, box, ok := t.classify(p)
	before := t.unborn[ev.Session]
	delete(t.unborn, ev.Session)
	if before != nil {
		t.kept -= before.size
	}
	if t.open[ev.Session] != nil { // taken up already
		return
	}
	if t.rejected[ev.Session] { // given up too early
		delete(t.rejected, ev.Session)
		t.due = slices.DeleteFunc(t.due, func(sid uint64) bool { return sid == ev.Session })
	}
	if ev.Session == 0 { // a container without anything to attach to
		return
	}
	if !ok || !t.cfg.Kinds[kind] {
		t.log.Debug("not a session", "sid", ev.Session, "pid", p.PID, "kind", kind, "container", ok)
		t.reject(ev.Session)
		return
	}
	m := t.header(ev, kind, box)
	s := t.add(ev.Session, m, *p, ev.At)
	s.missing(gap)
	t.stats.Begun[kind]++
	t.log.Debug("session began", "session", m.ID, "sid", ev.Session, "pid", p.PID)
	t.rec.Begin(m, *p)
	if t.late(ev) {
		// Bytes may have passed before anybody looked. How many is not known.
		for i, open := range s.has {
			if open {
				s.write(session.Event{T: m.StartedAt, Type: session.TypeLoss, Stream: session.Streams[i], Bytes: -1, Why: WhyLate})
			}
		}
	}
	if before != nil {
		s.replay(before)
	}
}

// late reports whether bytes may have passed before streams were seen. A
// process that has not written anything since it began has said nothing.
func (t *Tracker) late(ev *kevent.Event) bool {
	since, seen := t.world.SeenSince()
	if seen && since <= ev.At {
		return false
	}
	if !seen || since > ev.At+uint64(maxLate) {
		return true
	}
	n, ok := t.world.Wrote(ev.Program.PID)
	return !ok || n != ev.Program.Written
}

// maxLate is how long after a session's beginning its streams must be seen at
// the latest, for the proof by Wrote to count: nobody types that early.
const maxLate = 50 * time.Millisecond

func (t *Tracker) classify(p *kevent.Program) (session.Kind, cgroup.Container, bool) {
	switch p.Kind {
	case kevent.PutIn:
		box, ok := t.world.Container(p.MountNS, p.PID)
		if !ok {
			box, ok = InCgroup(p.Cgroup, p.NSPID)
		}
		return session.Exec, box, ok
	case kevent.First:
		box, ok := InCgroup(p.Cgroup, p.NSPID)
		return session.Attach, box, ok
	case kevent.Login, kevent.Command:
		return session.Shell, cgroup.Container{}, true
	}
	return "", cgroup.Container{}, false
}

// InCgroup reads a container out of a cgroup's path. containerd's own client
// puts containers into "/<namespace>/<name>" with any namespace: that is taken
// for a container only where a process is the first of its pid namespace.
func InCgroup(path string, nspid int) (cgroup.Container, bool) {
	if c, ok := cgroup.Parse(path); ok {
		return c, true
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if nspid != 1 || len(parts) != 2 || strings.HasSuffix(parts[0], ".slice") || strings.HasSuffix(parts[1], ".service") {
		return cgroup.Container{}, false
	}
	return cgroup.ParseWith(path, parts[:1])
}

func (t *Tracker) header(ev *kevent.Event, kind session.Kind, box cgroup.Container) session.Meta {
	p := &ev.Program
	began := t.wall(ev.At)
	uid := int(p.UID)
	m := session.Meta{
		V: session.FormatVersion, ID: session.NewID(kind, began), Kind: kind,
		Observer: session.Node, StartedAt: began, Node: t.cfg.Node,
		ContainerID: box.ID, Runtime: box.Runtime, PodUID: box.PodUID,
		Argv: SplitArgv(p.Argv), PID: p.PID, UID: &uid,
		StdinKind: p.FDs[0].String(), StdoutKind: p.FDs[1].String(), StderrKind: p.FDs[2].String(),
		Stdin: t.cfg.Stdin, Flavour: t.cfg.Flavour,
		Key: Key(t.cfg.Boot, ev.Session),
	}
	m.ArgvCut = int(p.ArgvAll) - len(p.Argv)
	if p.LoginUID != kevent.NoLogin {
		l := int(p.LoginUID)
		m.LoginUID = &l
	}
	for _, f := range p.FDs {
		if f == kevent.FDTTY {
			m.TTY, m.Cols, m.Rows = true, int(p.Cols), int(p.Rows)
		}
	}
	return m
}

// Key names the kernel's session in a recording's header.
func Key(boot string, sid uint64) string { return boot + "/" + strconv.FormatUint(sid, 10) }

// ParseKey reads a Key of this boot.
func ParseKey(boot, key string) (uint64, bool) {
	rest, ok := strings.CutPrefix(key, boot+"/")
	if !ok || boot == "" {
		return 0, false
	}
	sid, err := strconv.ParseUint(rest, 10, 64)
	return sid, err == nil && sid != 0
}

// SplitArgv turns the kernel's argv, each argument with a NUL behind it, into
// texts.
func SplitArgv(b []byte) []session.Text {
	if len(b) == 0 {
		return nil
	}
	s := strings.TrimSuffix(string(b), "\x00")
	parts := strings.Split(s, "\x00")
	out := make([]session.Text, len(parts))
	for i, a := range parts {
		out[i] = session.Text(a)
	}
	return out
}

func (t *Tracker) add(sid uint64, m session.Meta, p kevent.Program, began uint64) *open {
	s := &open{t: t, sid: sid, id: m.ID, last: m.StartedAt, tty: m.TTY, shares: p.Shares, ttyIndex: p.TTY, began: began, base: t.wall(began)}
	s.missing(WhyRing)
	policy := m.Stdin
	if !policy.Valid() {
		policy = session.Masked
	}
	s.policy = policy
	if !s.tty && policy == session.Masked {
		policy = session.Full // what is masked is what a terminal does not echo
	}
	s.mask = mask.New(policy)
	for i, f := range []string{m.StdinKind, m.StdoutKind, m.StderrKind} {
		switch f {
		case "pipe", "socket":
			s.has[i] = true
		case "tty":
			s.has[0], s.has[1] = true, true
		}
	}
	t.open[sid] = s
	return s
}
