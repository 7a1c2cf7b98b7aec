package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kubetape/kubetape/internal/cgroup"
	"github.com/kubetape/kubetape/internal/containers"
	"github.com/kubetape/kubetape/internal/hostnet"
	"github.com/kubetape/kubetape/internal/kevent"
	"github.com/kubetape/kubetape/internal/session"
)

// identity fills in who and where. What cannot be found out stays empty.
type identity struct {
	cri    *containers.Client
	peers  hostnet.Finder
	procfs string
	log    *slog.Logger
}

func (id *identity) fill(ctx context.Context, m *session.Meta, p kevent.Program) {
	m.Origin = id.origin(p.PPID)
	if m.ContainerID != "" {
		id.container(ctx, m)
		return
	}
	// The user database is the node's, not that of a container we may run in.
	if m.UID != nil {
		if name, err := containers.User(filepath.Join(id.procfs, "1/root/etc/passwd"), *m.UID); err == nil {
			m.User = name
		} else if name, err := containers.User("/etc/passwd", *m.UID); err == nil {
			m.User = name
		}
	}
	// The connection is the parent's or an older process's, never the session's own.
	peer, ok, err := id.peers.Peer(ctx, p.PPID)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		id.log.Debug("find peer of login", "session", m.ID, "error", err)
	}
	if ok {
		m.Peer = peer.String()
	}
}

func (id *identity) container(ctx context.Context, m *session.Meta) {
	if id.cri == nil {
		return
	}
	g := cgroup.Container{ID: m.ContainerID, Runtime: m.Runtime, PodUID: m.PodUID}
	if _, err := id.cri.Resolve(ctx, g.ID); err != nil && !errors.Is(err, containers.ErrNoRuntime) && !errors.Is(err, containers.ErrNotFound) {
		id.log.Debug("ask runtime for container", "session", m.ID, "error", err)
	}
	info, ok := id.cri.Describe(g)
	if !ok {
		return
	}
	m.Namespace, m.Pod, m.Container, m.Image = info.Namespace, info.Pod, info.Name, info.Image
	if info.PodUID != "" {
		m.PodUID = info.PodUID
	}
	if info.Runtime != "" {
		m.Runtime = info.Runtime
	}
}

// origin lists the parents of a session's first process, nearest first. Those
// that have ended already are not in it.
func (id *identity) origin(pid int) []session.Proc {
	var out []session.Proc
	for len(out) < 16 && pid > 1 {
		dir := filepath.Join(id.procfs, strconv.Itoa(pid))
		b, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			break
		}
		s := string(b)
		from, to := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
		f := strings.Fields(s[max(to+1, 0):])
		if from < 0 || to < from || len(f) < 2 {
			break
		}
		p := session.Proc{PID: pid, Comm: session.Text(s[from+1 : to])}
		if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil {
			p.Exe = strings.ToValidUTF8(exe, "\uFFFD")
		}
		out = append(out, p)
		if pid, err = strconv.Atoi(f[1]); err != nil {
			break
		}
	}
	return out
}
