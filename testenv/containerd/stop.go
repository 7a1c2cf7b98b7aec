package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Close removes every container, stops the daemon and sweeps up what it may
// have left: shims, container processes, mounts, sockets and cgroups. Only what
// carries this daemon's directory or namespace is touched, each process by its
// own id. The directory itself is left to its owner. A second call does nothing
// but return the first one's error.
func (d *Daemon) Close() error {
	d.closing.Do(func() { d.closed = d.close() })
	return d.closed
}

func (d *Daemon) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs, removals []error
	d.mu.Lock()
	ids := d.containers
	d.containers = nil
	d.mu.Unlock()
	for _, id := range ids {
		select {
		case <-d.ended: // nothing to ask any more; the sweep has it all
		default:
			removals = append(removals, d.Remove(ctx, id))
		}
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-ctx.Done():
		_ = d.cmd.Process.Kill()
		<-d.ended
		errs = append(errs, errors.New("stop containerd: killed, it did not end by itself"))
	}
	if d.cmd.ProcessState.Success() { // a daemon that somebody killed could not answer: the sweep does it all
		errs = append(errs, removals...)
	}
	errs = append(errs, d.sweepProcesses(ctx), d.sweepSockets(), d.sweepRuntimeState(), d.sweepMounts(), d.sweepCgroups(), d.log.Close())
	return errors.Join(errs...)
}

// sweepProcesses kills shims of this daemon and processes in its cgroups, and
// waits for their end.
func (d *Daemon) sweepProcesses(ctx context.Context) error {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0) // before looking: the id cannot become another process's
		if err != nil {
			continue
		}
		if d.owns(dir) {
			errs = append(errs, killAndWait(ctx, fd, pid))
		}
		unix.Close(fd)
	}
	return errors.Join(errs...)
}

// owns reports whether the process at dir (in /proc) is a shim of this daemon or
// in one of its cgroups.
func (d *Daemon) owns(dir string) bool {
	cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	argv := bytes.Split(cmdline, []byte{0})
	if len(argv) > 0 && strings.HasPrefix(filepath.Base(string(argv[0])), "containerd-shim") &&
		bytes.Contains(cmdline, []byte("\x00"+d.Socket()+"\x00")) {
		return true
	}
	cgroups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
	return bytes.Contains(cgroups, []byte(":/"+d.Namespace+"/"))
}

func killAndWait(ctx context.Context, pidfd, pid int) error {
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 1000)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for process %d: %w", pid, err)
		}
	}
	return fmt.Errorf("wait for process %d: %w", pid, ctx.Err())
}

// sweepSockets removes the sockets of shims that were killed; a shim puts them
// in /run/containerd/s whatever the daemon's state directory is.
func (d *Daemon) sweepSockets() error {
	files, err := filepath.Glob(d.path("state") + "/io.containerd.runtime.v2.task/*/*/address")
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		name, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "unix://")
		if !ok || filepath.Dir(name) != "/run/containerd/s" {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// sweepRuntimeState removes what runc keeps of each container; its place too is
// the same for every daemon, but named after the namespace.
func (d *Daemon) sweepRuntimeState() error {
	return os.RemoveAll(filepath.Join("/run/containerd/runc", d.Namespace))
}

// sweepMounts unmounts what is mounted under the daemon's directory, latest first.
func (d *Daemon) sweepMounts() error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	lines := strings.Split(string(b), "\n")
	var errs []error
	for i := len(lines) - 1; i >= 0; i-- {
		f := strings.Fields(lines[i])
		if len(f) < 5 || !strings.HasPrefix(f[4], d.dir+"/") {
			continue
		}
		if err := unix.Unmount(f[4], unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", f[4], err))
		}
	}
	return errors.Join(errs...)
}

// sweepCgroups removes the namespace's cgroup and those in it from each
// hierarchy. The runtime removes only a container's own.
func (d *Daemon) sweepCgroups() error {
	var tops []string
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		found, err := filepath.Glob(pattern + d.Namespace)
		if err != nil {
			return err
		}
		tops = append(tops, found...)
	}
	var errs []error
	for _, top := range tops {
		errs = append(errs, removeTree(top))
	}
	return errors.Join(errs...)
}

// removeTree removes a cgroup and those below it. os.RemoveAll would try the
// files in them, which cannot be removed.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove cgroup: %w", err)
	}
	return nil
}
