package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
)

type namespaces struct{ mount, pid uint32 }

// homeNamespaces returns the node's own namespaces: those of process 1, or the
// recorder's where process 1 may not be looked at.
func homeNamespaces(procfs string) (namespaces, error) {
	n, err := namespacesOf(procfs, "1")
	if errors.Is(err, fs.ErrPermission) {
		n, err = namespacesOf(procfs, "self")
	}
	if err != nil {
		return n, fmt.Errorf("read the node's namespaces: %w", err)
	}
	return n, nil
}

func namespacesOf(procfs, pid string) (n namespaces, err error) {
	if n.mount, err = nsInode(filepath.Join(procfs, pid, "ns/mnt")); err != nil {
		return n, err
	}
	n.pid, err = nsInode(filepath.Join(procfs, pid, "ns/pid"))
	return n, err
}

// nsInode reads the number out of "mnt:[4026531841]".
func nsInode(path string) (uint32, error) {
	s, err := os.Readlink(path)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(s, "[")
	v, err := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("read namespace %q: %w", s, err)
	}
	return uint32(v), nil
}

// scan makes containers that run already known, with their processes, so that
// what is put into them later is told apart from what grew there. Entries that
// exist are left alone.
func (p *Probe) scan() error {
	home, err := homeNamespaces(p.cfg.Procfs)
	if err != nil {
		return err
	}
	dirs, err := os.ReadDir(p.cfg.Procfs)
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	first := map[uint32]int{}
	for _, d := range dirs { // in order of pid: the lowest is the oldest, unless pids wrapped
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		n, err := namespacesOf(p.cfg.Procfs, d.Name())
		if err != nil || n == home { // gone, a kernel thread, or the node's own
			continue
		}
		if isCarrier(p.cfg.Procfs, d.Name()) { // on its way in: what it will run is a session
			continue
		}
		if n.mount != home.mount {
			if f, ok := first[n.mount]; !ok || olderThan(p.cfg.Procfs, pid, f) {
				first[n.mount] = pid
			}
		}
		info := recorderTaskInfo{Mntns: n.mount, Pidns: n.pid}
		if err := p.maps.Tasks.Update(uint32(pid), info, ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return fmt.Errorf("note process of a container: %w", err)
		}
		if _, err := os.Stat(filepath.Join(p.cfg.Procfs, d.Name())); err != nil { // it ended: the number may be used again
			_ = p.maps.Tasks.Delete(uint32(pid))
		}
	}
	for ns, pid := range first {
		if err := p.noteContainer(ns, pid); err != nil {
			return err
		}
	}
	return nil
}

// isCarrier reports whether a process is a runtime's that has entered a container
// and not run the container's program yet.
func isCarrier(procfs, pid string) bool {
	b, err := os.ReadFile(filepath.Join(procfs, pid, "comm"))
	if err != nil {
		return false
	}
	for _, name := range carriers {
		if strings.HasPrefix(string(b), name) {
			return true
		}
	}
	return false
}

const taskFirst = 2 // TASK_FIRST in bpf/event.h

func (p *Probe) noteContainer(mount uint32, pid int) error {
	n, err := namespacesOf(p.cfg.Procfs, strconv.Itoa(pid))
	if err != nil || n.mount != mount { // it ended meanwhile
		return nil
	}
	err = p.maps.Containers.Update(mount, recorderContainerInfo{First: uint32(pid), Other: n.pid}, ebpf.UpdateNoExist)
	if errors.Is(err, ebpf.ErrKeyExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note container: %w", err)
	}
	info := recorderTaskInfo{Mntns: n.mount, Pidns: n.pid, Flags: taskFirst}
	if err := p.maps.Tasks.Update(uint32(pid), info, ebpf.UpdateAny); err != nil {
		return fmt.Errorf("note first process: %w", err)
	}
	return p.NoteParent(pid)
}

// NoteParent makes the parent of a container's first process a starter (see
// Starter), unless it is process 1 or gone.
func (p *Probe) NoteParent(pid int) error {
	parent, ok := statField(p.cfg.Procfs, pid, 4)
	if !ok || parent <= 1 {
		return nil
	}
	return p.Starter(int(parent))
}

// olderThan reports whether process a started before process b.
func olderThan(procfs string, a, b int) bool {
	x, okA := startTime(procfs, a)
	y, okB := startTime(procfs, b)
	return okA && (!okB || x < y)
}

// startTime returns when a process started, in clock ticks since boot.
func startTime(procfs string, pid int) (uint64, bool) { return statField(procfs, pid, 22) }

// statField reads a field of /proc/<pid>/stat, counted from 1 as in proc(5),
// from the fourth on. The name in field 2 may hold anything, also ") ".
func statField(procfs string, pid, field int) (uint64, bool) {
	b, err := os.ReadFile(filepath.Join(procfs, strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	s := string(b)
	i := strings.LastIndexByte(s, ')')
	if i < 0 {
		return 0, false
	}
	f := strings.Fields(s[i+1:])
	if len(f) < field-2 {
		return 0, false
	}
	v, err := strconv.ParseUint(f[field-3], 10, 64)
	return v, err == nil
}

// FirstOf returns the first process of the container that a mount namespace
// belongs to.
func (p *Probe) FirstOf(mountNS uint32) (int, bool) {
	var c recorderContainerInfo
	if p.maps.Containers.Lookup(mountNS, &c) != nil {
		return 0, false
	}
	return int(c.First), true
}
