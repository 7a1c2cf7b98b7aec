package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/kubetape/kubetape/internal/containers"
	"github.com/kubetape/kubetape/internal/durable"
	"github.com/kubetape/kubetape/internal/hostnet"
	"github.com/kubetape/kubetape/internal/probe"
	"github.com/kubetape/kubetape/internal/session"
	"github.com/kubetape/kubetape/internal/tracker"
)

// ErrRunning is returned by Run when another recorder writes to the same
// directory.
var ErrRunning = errors.New("another kubetape-node is running")

// Hooks lets a caller know.
type Hooks struct {
	// Ready is called when sessions are being recorded.
	Ready func()
}

// Run records until ctx is done. It then ends the recordings and unloads the
// capture, or, with KeepOnStop, leaves both for a successor.
func Run(ctx context.Context, c Config, hooks Hooks, log *slog.Logger) (err error) {
	if err := c.Validate(); err != nil {
		return err
	}
	unlock, err := prepare(c.Recordings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	boot, err := bootID(c.Procfs)
	if err != nil {
		return err
	}
	p, err := probe.Open(c.probe(), log)
	if errors.Is(err, probe.ErrBusy) {
		return fmt.Errorf("%w: %w", ErrRunning, err)
	}
	if err != nil {
		return err
	}
	r, err := assemble(c, p, boot, log)
	if err != nil {
		return errors.Join(err, p.Unload(), p.Close())
	}
	return r.run(ctx, c, hooks, boot)
}

// memoryGoal is what the collector tries to keep the recorder's own memory
// below. The ring, which is mapped twice, comes on top.
const memoryGoal = 48 << 20

// recorder is everything that runs.
type recorder struct {
	loop *loop
	cri  *containers.Client
	log  *slog.Logger
}

func assemble(c Config, p *probe.Probe, boot string, log *slog.Logger) (*recorder, error) {
	name, err := nodeName(c.Node)
	if err != nil {
		return nil, err
	}
	cri := containers.New(containers.Config{Sockets: c.RuntimeSockets, Timeout: nameLimit / 2, Log: log})
	who := &identity{cri: cri, peers: hostnet.Finder{Proc: c.Procfs}, procfs: c.Procfs, log: log}
	w := &world{probe: p, procfs: c.Procfs, boxes: map[uint32]box{}}
	tapes := newTapes(c.Recordings, max(2, runtime.GOMAXPROCS(0)), who.fill, log)
	cfg := tracker.Config{
		Node: name, Boot: boot, Flavour: string(p.Flavour()), Stdin: c.Stdin,
		Kinds: map[session.Kind]bool{session.Exec: c.Record.Exec, session.Attach: c.Record.Attach, session.Shell: c.Record.Shell},
	}
	l := &loop{
		probe: p, world: w, tapes: tapes, log: log, idle: c.Capture.IdleDetach, boot: boot,
		metrics: &metrics{flavour: p.Flavour(), cri: cri}, stopped: make(chan stopped, 1), busyAt: time.Now(),
	}
	tapes.ending = func(m session.Meta) { l.kernel(m, boot, p.Ending) }
	tapes.ended = func(m session.Meta) { l.kernel(m, boot, p.Forget) }
	l.tracker = tracker.New(cfg, tapes, w, clock(), log)
	return &recorder{loop: l, cri: cri, log: log}, nil
}

func (r *recorder) run(ctx context.Context, c Config, hooks Hooks, boot string) (err error) {
	l := r.loop
	debug.SetMemoryLimit(memoryGoal)
	var wg sync.WaitGroup
	side, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		cancel()
		wg.Wait()
	}()
	wg.Go(func() {
		if err := r.cri.Run(side); err != nil {
			r.log.Error("talk to container runtimes", "error", err)
		}
	})
	stopServing, err := l.metrics.serve(side, c.Listen, r.log)
	if err != nil {
		return errors.Join(err, r.stop(c, "recorder could not start"))
	}
	defer stopServing()
	if err := l.begin(c, boot); err != nil {
		return errors.Join(err, r.stop(c, "recorder could not start"))
	}
	if !c.KeepCapabilities {
		if err := dropCapabilities(); err != nil {
			r.log.Warn("capabilities are kept", "error", err)
		}
	}
	l.metrics.update(l)
	l.metrics.ready.Store(true)
	r.log.Info("recording", "flavour", l.probe.Flavour(), "resumed", l.probe.Resumed(), "directory", c.Recordings)
	if hooks.Ready != nil {
		hooks.Ready()
	}
	err = l.run(ctx)
	l.metrics.ready.Store(false)
	return errors.Join(err, r.stop(c, "recorder was stopped"))
}

// begin takes up what was left and brings the ring up to date.
func (l *loop) begin(c Config, boot string) error {
	if err := l.resume(c.Recordings, boot); err != nil {
		return err
	}
	if c.Capture.IdleDetach == 0 || l.tracker.Busy() {
		if err := l.probe.Arm(); err != nil {
			return err
		}
	}
	if !l.probe.Resumed() {
		return nil
	}
	left, err := l.leftOpen()
	if err != nil {
		return err
	}
	l.drain(30 * time.Second)
	if l.probe.Waiting() == 0 {
		l.probe.Settle()
	}
	l.takeUp(left)
	l.catchUp(2 * time.Second)
	return nil
}

// stop ends in the order of the invariant: the kernel stops, what is in the ring
// comes through, recordings get their end and reach the disk.
func (r *recorder) stop(c Config, why string) error {
	l := r.loop
	var errs []error
	if c.Capture.KeepOnStop {
		l.await()
		l.drain(5 * time.Second)
		l.finish()
		l.tracker.Suspend(probe.Now())
	} else {
		l.endAll(why)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	errs = append(errs, l.tapes.shut(ctx))
	if !c.Capture.KeepOnStop {
		errs = append(errs, l.probe.Unload())
	}
	errs = append(errs, l.probe.Close())
	s := l.tracker.Stats()
	r.log.Info("stopped", "sessions", s.Ended, "lost_bytes", s.Lost)
	return errors.Join(errs...)
}

// prepare makes the directory for recordings and takes it for this process.
func prepare(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory for recordings: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := durable.Lock(f); err != nil {
		if errors.Is(err, durable.ErrLocked) {
			err = fmt.Errorf("%w: it writes to %s", ErrRunning, dir)
		}
		return nil, errors.Join(err, f.Close())
	}
	if err := probeWrite(dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// probeWrite finds out now rather than at the first session that the directory
// cannot be written to.
func probeWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".try-")
	if err != nil {
		return fmt.Errorf("write to directory for recordings: %w", err)
	}
	_, err = f.Write(make([]byte, 4096))
	if err = errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("write to directory for recordings: %w", err)
	}
	return nil
}

func bootID(procfs string) (string, error) {
	b, err := os.ReadFile(filepath.Join(procfs, "sys/kernel/random/boot_id"))
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func nodeName(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	if n := os.Getenv("NODE_NAME"); n != "" {
		return n, nil
	}
	n, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("read host name: %w", err)
	}
	return n, nil
}

// clock turns the kernel's monotonic times into the time of day, with the
// difference as it is now: times within a run of the recorder never go back,
// whatever is done to the clock.
func clock() func(uint64) time.Time {
	wall, mono := time.Now().UTC(), probe.Now()
	return func(at uint64) time.Time {
		return wall.Add(time.Duration(int64(at) - int64(mono))).Round(0)
	}
}
