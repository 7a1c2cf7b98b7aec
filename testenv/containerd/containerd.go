// Package containerd runs a private containerd with everything of its own
// (root, state, socket, namespace, named pipes) under one directory, so that
// tests and the demo have real containers of a real runtime and leave nothing
// behind. It needs root, and the Debian packages containerd and runc.
package containerd

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// startTimeout bounds the wait for the daemon's first answer, stopTimeout that
// for its end and for the end of what it started.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
)

// Daemon is a running containerd. Its methods are safe for concurrent use;
// Close must come last.
type Daemon struct {
	Namespace string // containerd namespace, and first part of every container's cgroup path

	dir   string
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{} // closed when the daemon ended
	execs atomic.Int64

	mu         sync.Mutex
	containers []string // every container that was started; guarded by mu

	closing sync.Once
	closed  error // of the first Close
}

// config is the daemon's configuration. restrict_oom_score_adj keeps runc from
// lowering an OOM score where we may not; the daemon's own is left alone too.
const config = `version = 2
root = %[1]q
state = %[2]q
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs"]
[grpc]
  address = %[3]q
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = %[4]q
[plugins."io.containerd.runtime.v1.linux"]
  no_shim = false
`

// Start starts a containerd with its files under dir, which must exist and have
// a short path (a Unix socket's name holds 107 bytes), and waits until it
// answers.
func Start(ctx context.Context, dir string) (_ *Daemon, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("start containerd: needs root")
	}
	var tag [4]byte
	rand.Read(tag[:])
	d := &Daemon{Namespace: "kubetape-" + hex.EncodeToString(tag[:]), dir: dir, ended: make(chan struct{})}
	text := fmt.Sprintf(config, d.path("root"), d.path("state"), d.Socket(), d.path("cni"))
	if err := os.WriteFile(d.path("containerd.toml"), []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write containerd config: %w", err)
	}
	if d.log, err = os.Create(d.path("containerd.log")); err != nil {
		return nil, fmt.Errorf("create containerd log: %w", err)
	}
	d.cmd = exec.Command("containerd", "--config", d.path("containerd.toml"))
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	// A process group of its own: an interrupt typed at our terminal is ours to handle.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		d.log.Close()
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	go func() {
		defer close(d.ended)
		_ = d.cmd.Wait()
	}()
	if err := d.ready(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// ready asks for the daemon's version; ctr itself waits for the socket.
func (d *Daemon) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	go func() {
		select {
		case <-d.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	if _, err := d.output(ctx, "--connect-timeout", startTimeout.String(), "version"); err != nil {
		return fmt.Errorf("wait for containerd: %w%s", err, d.lastLog())
	}
	return nil
}

// Socket is the path of the daemon's API socket. CRI answers there too.
func (d *Daemon) Socket() string { return d.path("c.sock") }

// PID is the daemon's process id.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

func (d *Daemon) path(name string) string { return filepath.Join(d.dir, name) }

// Ctr returns a command of containerd's own client for this daemon.
func (d *Daemon) Ctr(args ...string) *exec.Cmd {
	return exec.Command("ctr", append([]string{"--address", d.Socket(), "--namespace", d.Namespace}, args...)...)
}

// output runs ctr and returns what it printed.
func (d *Daemon) output(ctx context.Context, args ...string) (string, error) {
	cmd := d.Ctr(args...)
	bounded := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	var out, errs bytes.Buffer
	bounded.Stdout, bounded.Stderr = &out, &errs
	if err := bounded.Run(); err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// Import brings the images of a tar file in.
func (d *Daemon) Import(ctx context.Context, tar string) error {
	_, err := d.output(ctx, "images", "import", tar)
	return err
}

// Container says what to run.
type Container struct {
	ID    string
	Image string
	Argv  []string
	TTY   bool
	Flags []string // further flags of `ctr run`, such as "--net-host"
}

func (c Container) args(flags ...string) []string {
	args := append([]string{"run"}, flags...)
	if c.TTY {
		args = append(args, "--tty")
	}
	args = append(args, c.Flags...)
	return append(append(args, c.Image, c.ID), c.Argv...)
}

// Run starts a container in the background, its streams on /dev/null (a
// terminal's on nothing), and returns when it runs.
func (d *Daemon) Run(ctx context.Context, c Container) error {
	d.remember(c.ID)
	flags := []string{"--detach"}
	if !c.TTY {
		flags = append(flags, "--null-io")
	}
	_, err := d.output(ctx, c.args(flags...)...)
	return err
}

// Attached returns the command that runs a container in the foreground, its
// streams those of the command. The container is removed when it ends.
func (d *Daemon) Attached(c Container) *exec.Cmd {
	d.remember(c.ID)
	cmd := d.Ctr(c.args("--rm", "--fifo-dir", d.path("fifo"))...)
	if c.TTY {
		return d.quiet(cmd)
	}
	return cmd
}

// quiet sends ctr's own messages to the daemon's log: on the terminal, "resize
// pty: cannot resize a stopped container" would look like the session's output.
func (d *Daemon) quiet(cmd *exec.Cmd) *exec.Cmd {
	cmd.Stderr = d.log
	return cmd
}

// Exec returns the command that puts a process into a running container, its
// streams those of the command, or a terminal when tty is set.
func (d *Daemon) Exec(container string, tty bool, argv ...string) *exec.Cmd {
	args := []string{"task", "exec", "--fifo-dir", d.path("fifo"), "--exec-id", "e" + strconv.FormatInt(d.execs.Add(1), 10)}
	if !tty {
		return d.Ctr(append(append(args, container), argv...)...)
	}
	return d.quiet(d.Ctr(append(append(append(args, "--tty"), container), argv...)...))
}

// InitPID returns the process id, on this machine, of a container's first process.
func (d *Daemon) InitPID(ctx context.Context, container string) (int, error) {
	out, err := d.output(ctx, "task", "ls")
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(out, "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == container {
			return strconv.Atoi(f[1])
		}
	}
	return 0, fmt.Errorf("find task of container %s: none", container)
}

// Remove kills a container's processes and removes it. One that is gone
// already is no error.
func (d *Daemon) Remove(ctx context.Context, container string) error {
	_, taskErr := d.output(ctx, "task", "delete", "--force", container)
	_, err := d.output(ctx, "container", "delete", container)
	if err != nil && strings.Contains(err.Error(), "not found") {
		return nil
	}
	if err != nil {
		return errors.Join(taskErr, err)
	}
	return nil
}

func (d *Daemon) remember(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.containers = append(d.containers, id)
}

// lastLog returns the end of the daemon's log for an error message.
func (d *Daemon) lastLog() string {
	b, err := os.ReadFile(d.log.Name())
	if err != nil || len(b) == 0 {
		return ""
	}
	return "\nlast of containerd's log: " + string(b[max(0, len(b)-500):])
}
