// Package recorder runs kubetape-node against directories of its own: the real
// program, started and stopped by process id, with its pins in a BPF file system
// that only it has. It needs root.
package recorder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubetape/kubetape/internal/recording"
	"github.com/kubetape/kubetape/testenv/watch"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 60 * time.Second
)

// Options say how the recorder runs. The zero value runs it as a user would,
// with its own defaults.
type Options struct {
	Config string   // text of its configuration file
	Flags  []string // further flags of `kubetape-node run`
}

// Recorder is a kubetape-node that can be started, stopped and killed again and
// again; its directories stay. Its methods are for one goroutine.
type Recorder struct {
	binary, dir string
	options     Options

	cmd   *exec.Cmd     // nil when none runs
	ended chan struct{} // closed when cmd ended

	closed bool
}

// New prepares a recorder with its files under dir, which must exist. Close
// must be called.
func New(binary, dir string, o Options) (*Recorder, error) {
	r := &Recorder{binary: binary, dir: dir, options: o}
	for _, name := range []string{"recordings", "bpf", "run"} {
		if err := os.MkdirAll(r.path(name), 0o700); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(r.path("node.yaml"), []byte(o.Config), 0o600); err != nil {
		return nil, err
	}
	if err := unix.Mount("bpf", r.path("bpf"), "bpf", 0, "mode=0700"); err != nil {
		return nil, fmt.Errorf("mount a BPF file system: %w", err)
	}
	return r, nil
}

// Recordings is the directory of the recordings.
func (r *Recorder) Recordings() string { return r.path("recordings") }

// Log is the file with everything the program printed, over all its starts.
func (r *Recorder) Log() string { return r.path("node.log") }

// PID is the process id of the running program.
func (r *Recorder) PID() int { return r.cmd.Process.Pid }

func (r *Recorder) path(name string) string { return filepath.Join(r.dir, name) }

// Start starts the program and waits until it says that it records.
func (r *Recorder) Start(ctx context.Context) error {
	ready := r.path("run/ready")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	log, err := os.OpenFile(r.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{
		"run", "--config", r.path("node.yaml"), "--recordings", r.Recordings(), "--pin-dir", r.path("bpf/kubetape"),
		"--listen", "127.0.0.1:0", "--ready-file", ready,
	}, r.options.Flags...)
	r.cmd = exec.Command(r.binary, args...)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.cmd.Start(); err != nil {
		r.cmd = nil
		return fmt.Errorf("start the recorder: %w", err)
	}
	cmd, ended := r.cmd, make(chan struct{})
	r.ended = ended
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	if err := r.waitReady(ctx, ready); err != nil {
		return fmt.Errorf("start the recorder: %w%s", err, r.LastLog())
	}
	return nil
}

func (r *Recorder) waitReady(ctx context.Context, ready string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ended := errors.New("it ended before it was ready")
	ctx, stop := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-r.ended:
			stop(ended)
		case <-ctx.Done():
		}
	}()
	err := watch.File(ctx, ready)
	stop(nil)
	<-done
	return err
}

// Stop ends the program as an operator does and waits for its end. An exit
// status other than 0 is an error. Stopping a recorder that does not run does
// nothing.
func (r *Recorder) Stop() error {
	if r.cmd == nil {
		return nil
	}
	cmd := r.cmd
	r.cmd = nil
	_ = cmd.Process.Signal(syscall.SIGTERM)
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-r.ended:
	case <-timeout.C:
		_ = cmd.Process.Kill()
		<-r.ended
		return fmt.Errorf("stop the recorder: killed, it did not end by itself%s", r.LastLog())
	}
	if !cmd.ProcessState.Success() {
		return fmt.Errorf("stop the recorder: %s%s", cmd.ProcessState, r.LastLog())
	}
	return nil
}

// Kill ends the program as a crash does, and waits for its end.
func (r *Recorder) Kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		<-r.ended
		r.cmd = nil
	}
}

// Finished waits until at least n recordings have their end and none is open.
func (r *Recorder) Finished(ctx context.Context, n int) error {
	return watch.Until(ctx, r.Recordings(), func() (bool, error) {
		entries, err := os.ReadDir(r.Recordings())
		if err != nil {
			return false, err
		}
		done := 0
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), recording.PartSuffix) {
				return false, nil
			}
			if strings.HasSuffix(e.Name(), recording.Suffix) {
				done++
			}
		}
		return done >= n, nil
	})
}

// Close stops the program and lets go of everything it pinned. A second call
// does nothing.
func (r *Recorder) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.Stop()
	if uerr := unix.Unmount(r.path("bpf"), unix.MNT_DETACH); uerr != nil {
		err = errors.Join(err, fmt.Errorf("unmount the BPF file system: %w", uerr))
	}
	return err
}

// LastLog returns the end of the log, for an error message.
func (r *Recorder) LastLog() string {
	b, err := os.ReadFile(r.Log())
	if err != nil || len(b) == 0 {
		return ""
	}
	return "\nlast of its log:\n" + string(b[max(0, len(b)-2000):])
}
