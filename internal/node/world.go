package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kubetape/kubetape/internal/cgroup"
	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/probe"
	"github.com/kubetape/kubetape/internal/tracker"
)

// world answers the tracker's questions from the kernel and from /proc. For the
// goroutine that drives the tracker only.
type world struct {
	probe  *probe.Probe
	procfs string
	boxes  map[uint32]box // by mount namespace
}

type box struct {
	first int // process that the answer was found by: the namespace's number may be used again
	c     cgroup.Container
	ok    bool
}

// learn notes what a container's first process told.
func (w *world) learn(p *kevent.Program) {
	c, ok := tracker.InCgroup(p.Cgroup, p.NSPID)
	if len(w.boxes) >= 1<<14 {
		clear(w.boxes) // found again when asked for
	}
	w.boxes[p.MountNS] = box{first: p.PID, c: c, ok: ok}
}

// Container implements tracker.World.
func (w *world) Container(mountNS uint32, pid int) (cgroup.Container, bool) {
	first, known := w.probe.FirstOf(mountNS)
	if !known {
		first = pid
	}
	if b, ok := w.boxes[mountNS]; ok && b.first == first {
		return b.c, b.ok
	}
	c, ok := w.containerOf(first)
	w.boxes[mountNS] = box{first: first, c: c, ok: ok}
	return c, ok
}

func (w *world) containerOf(pid int) (cgroup.Container, bool) {
	b, err := os.ReadFile(w.path(pid, "cgroup"))
	if err != nil {
		return cgroup.Container{}, false
	}
	if c, ok := cgroup.FromProc(bytes.NewReader(b)); ok {
		return c, true
	}
	nspid := w.nspid(pid)
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.SplitN(line, ":", 3)
		if len(f) == 3 {
			if c, ok := tracker.InCgroup(f[2], nspid); ok {
				return c, true
			}
		}
	}
	return cgroup.Container{}, false
}

func (w *world) path(pid int, name string) string {
	return filepath.Join(w.procfs, strconv.Itoa(pid), name)
}

// nspid reads a process's number in its own pid namespace.
func (w *world) nspid(pid int) int {
	b, err := os.ReadFile(w.path(pid, "status"))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(rest)
			if len(f) == 0 {
				return 0
			}
			n, err := strconv.Atoi(f[len(f)-1])
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// Discover implements tracker.World.
func (w *world) Discover(sid uint64) (tracker.Found, bool) {
	l, ok := w.probe.Lookup(sid)
	if !ok {
		return tracker.Found{}, false
	}
	return w.found(l), true
}

func (w *world) found(l probe.Live) tracker.Found {
	return tracker.Found{
		Program: w.program(l), Began: l.Started, Exited: l.Exited, Code: l.Code,
		Ends: tracker.Ends{Holder: l.Holder, FD: l.FD, EOF: l.EOF},
	}
}

// program returns how a session began. That of one that is not born has no Kind.
func (w *world) program(l probe.Live) kevent.Program {
	if ev, ok := w.probe.Start(l.Session); ok && l.Kind != 0 {
		return ev.Program
	}
	return kevent.Program{Kind: l.Kind, Outer: l.Outer, PID: l.First, LoginUID: kevent.NoLogin, MountNS: l.MountNS}
}

// Inside implements tracker.World.
func (w *world) Inside(sid uint64) (uint64, bool) {
	l, ok := w.probe.Lookup(sid)
	return l.Inside, ok
}

// Holds implements tracker.World. In doubt the answer is yes: a session is not
// ended because /proc could not be read.
func (w *world) Holds(pid, fd, tty int, terminal bool) bool {
	s, err := os.Readlink(w.path(pid, "fd/"+strconv.Itoa(fd)))
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err != nil {
		return true
	}
	if !terminal {
		return strings.HasPrefix(s, "pipe:") || strings.HasPrefix(s, "socket:") || strings.HasPrefix(s, "/")
	}
	b, err := os.ReadFile(w.path(pid, "fdinfo/"+strconv.Itoa(fd)))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "tty-index:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(rest))
			return err != nil || n == tty
		}
	}
	return false // the descriptor is something else by now
}

// Wrote implements tracker.World.
func (w *world) Wrote(pid int) (uint64, bool) {
	b, err := os.ReadFile(w.path(pid, "io"))
	if err != nil {
		return 0, false
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "wchar: "); ok {
			n, err := strconv.ParseUint(rest, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// SeenSince implements tracker.World.
func (w *world) SeenSince() (uint64, bool) { return w.probe.ArmedSince() }
