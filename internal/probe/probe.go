package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/kubetape/kubetape/internal/kevent"
)

// Config says how to capture. Its zero value is not usable; see Validate.
type Config struct {
	// PinDir is the directory on a bpffs where maps and links are pinned. It is
	// made when it is missing; a bpffs is mounted when there is none. Empty: no
	// pins, capture ends with the process.
	PinDir string
	// RingBytes is the size of the ring: a power of two, at least MinRing.
	RingBytes int
	// Flavour forces a flavour; empty: the first that works.
	Flavour Flavour
	// Logins are names of programs whose children are logins without a
	// terminal (up to 4 of up to 15 bytes; a name stands for all that begin so).
	Logins []string
	// Starters are names of programs that are about to start a session (up to
	// 16). They only make the recorder get ready earlier.
	Starters []string
	// Procfs is where the node's /proc is.
	Procfs string
}

// MinRing is the smallest ring that holds some of the largest records.
const MinRing = 1 << 18

// Validate returns everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.RingBytes < MinRing || c.RingBytes&(c.RingBytes-1) != 0 || c.RingBytes > 1<<30 {
		errs = append(errs, fmt.Errorf("ring size %d: must be a power of two from %d to %d bytes", c.RingBytes, MinRing, 1<<30))
	}
	if len(c.Logins) > 4 {
		errs = append(errs, fmt.Errorf("%d login programs: at most 4", len(c.Logins)))
	}
	if len(c.Starters) > 16 {
		errs = append(errs, fmt.Errorf("%d starter programs: at most 16", len(c.Starters)))
	}
	for _, n := range append(append([]string{}, c.Logins...), c.Starters...) {
		if n == "" || len(n) > 15 {
			errs = append(errs, fmt.Errorf("program name %q: must have 1 to 15 bytes", n))
		}
	}
	if c.Flavour != "" && !c.Flavour.known() {
		errs = append(errs, fmt.Errorf("flavour %q: not one of %v", c.Flavour, Flavours))
	}
	return errors.Join(errs...)
}

// Probe is a loaded and attached set of programs. Next is for one goroutine;
// everything else is safe for concurrent use.
type Probe struct {
	cfg     Config
	log     *slog.Logger
	flavour Flavour
	pins    *pins
	resumed bool

	maps    recorderMaps
	capture *ebpf.Program // the flavour's program for streams
	// links stay referenced for as long as the probe is: a link that nothing
	// refers to is closed by the garbage collector and capture would stop.
	links []link.Link
	// pendingProgs are loaded and not attached yet.
	pendingProgs map[string]*ebpf.Program

	reader *ringbuf.Reader
	record ringbuf.Record
	slots  *ebpf.Memory

	mu      sync.Mutex // guards what follows
	armed   link.Link
	armedAt uint64
}

// Open loads, attaches and, with a PinDir, pins. When a compatible set is pinned
// already it is taken over instead, and Resumed reports true.
func Open(cfg Config, log *slog.Logger) (_ *Probe, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Probe{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			if p.pins != nil && !p.resumed {
				err = errors.Join(err, p.pins.removeAll(), p.pins.unmount())
			}
			err = errors.Join(err, p.Close())
		}
	}()
	if p.flavour, err = choose(cfg.Flavour); err != nil {
		return nil, err
	}
	if cfg.PinDir != "" {
		if p.pins, err = openPins(cfg.PinDir, log); err != nil {
			return nil, err
		}
	}
	if p.pins != nil {
		p.resumed, err = p.takeOver()
		if err != nil {
			log.Warn("pinned capture cannot be taken over, starting afresh", "error", err)
			if err := p.dropHandles(); err != nil {
				return nil, err
			}
			p.resumed = false
		}
	}
	if !p.resumed {
		if p.pins != nil {
			if err := p.pins.removeAll(); err != nil {
				return nil, err
			}
			if err := p.pins.make(); err != nil {
				return nil, err
			}
		}
		if err := p.load(); err != nil {
			return nil, err
		}
	}
	if p.slots, err = p.maps.Slots.Memory(); err != nil {
		return nil, fmt.Errorf("map slots: %w", err)
	}
	if p.reader, err = ringbuf.NewReader(p.maps.Events); err != nil {
		return nil, fmt.Errorf("open ring: %w", err)
	}
	if p.resumed {
		return p, nil // the kernel has followed every process meanwhile
	}
	if err := p.scan(); err != nil {
		return nil, err
	}
	if err := p.attach(); err != nil {
		return nil, err
	}
	// What began between the two is found now; what stands already is kept.
	if err := p.scan(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Probe) load() error {
	spec, err := loadRecorder()
	if err != nil {
		return fmt.Errorf("read embedded object: %w", err)
	}
	home, err := homeNamespaces(p.cfg.Procfs)
	if err != nil {
		return err
	}
	conf := recorderConfig{
		RingBytes: uint64(p.cfg.RingBytes),
		FairBytes: uint64(p.cfg.RingBytes / 32),
		Mntns:     home.mount,
		Pidns:     home.pid,
	}
	for i, n := range p.cfg.Logins {
		setName(&conf.Logins[i].Text, &conf.Logins[i].Mask, n)
	}
	for i, n := range p.cfg.Starters {
		setName(&conf.Starters[i].Text, &conf.Starters[i].Mask, n)
	}
	for i, n := range carriers {
		setName(&conf.Carriers[i].Text, &conf.Carriers[i].Mask, n)
	}
	if err := spec.Variables[recorderVarCfg].Set(conf); err != nil {
		return fmt.Errorf("set configuration: %w", err)
	}
	spec.Maps[recorderMapEvents].MaxEntries = uint32(p.cfg.RingBytes)
	var objs recorderObjects
	if err := spec.LoadAndAssign(&objs, nil); err != nil {
		return fmt.Errorf("load programs: %w", explain(err))
	}
	p.maps = objs.recorderMaps
	p.capture = objs.OnSysExit
	progs := map[string]*ebpf.Program{
		recorderProgOnFork: objs.OnFork, recorderProgOnExit: objs.OnExit, recorderProgOnExec: objs.OnExec,
	}
	p.pendingProgs = progs
	return nil
}

// carriers are programs that hand their own stdin, stdout and stderr on to a
// session: low-level runtimes, and nsenter.
var carriers = [...]string{"runc", "crun", "youki", "runsc", "nsenter"}

// setName makes the kernel's form of a name: all that begin so match.
func setName(text, mask *[2]uint64, s string) {
	var t, m [16]byte
	for i := 0; i < len(s) && i < 15; i++ {
		t[i], m[i] = s[i], 0xff
	}
	for i := range text {
		text[i] = binary.NativeEndian.Uint64(t[8*i:])
		mask[i] = binary.NativeEndian.Uint64(m[8*i:])
	}
}

// attach order: fork and exit first, so that what exec starts is followed.
var attachOrder = []string{recorderProgOnFork, recorderProgOnExit, recorderProgOnExec}

func (p *Probe) attach() error {
	for _, name := range attachOrder {
		prog := p.pendingProgs[name]
		l, err := link.AttachTracing(link.TracingOptions{Program: prog})
		if err != nil {
			return fmt.Errorf("attach %s: %w", name, explain(err))
		}
		p.links = append(p.links, l)
		if p.pins != nil {
			if err := l.Pin(p.pins.link(name)); err != nil {
				return fmt.Errorf("pin link %s: %w", name, err)
			}
		}
		if err := prog.Close(); err != nil {
			return fmt.Errorf("close program %s: %w", name, err)
		}
	}
	p.pendingProgs = nil
	if p.pins != nil {
		return p.pins.save(&p.maps, p.capture)
	}
	return nil
}

// Resumed reports whether a pinned capture was taken over.
func (p *Probe) Resumed() bool { return p.resumed }

// Flavour returns the flavour in use.
func (p *Probe) Flavour() Flavour { return p.flavour }

// ErrTimeout is returned by Next when there was no event in time.
var ErrTimeout = errors.New("no event in time")

// ErrClosed is returned by Next after Close.
var ErrClosed = errors.New("probe is closed")

// Next waits until deadline for the next event and fills ev in; ev's byte
// slices are good until the next call. It returns how many bytes of the ring
// the event took, ErrTimeout, ErrClosed, or an error that says that a record
// made no sense (the record is gone, the next call goes on).
func (p *Probe) Next(deadline time.Time, ev *kevent.Event) (int, error) {
	p.reader.SetDeadline(deadline)
	err := p.reader.ReadInto(&p.record)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, ErrTimeout
	case errors.Is(err, ringbuf.ErrClosed):
		return 0, ErrClosed
	case err != nil:
		return 0, fmt.Errorf("read ring: %w", err)
	}
	size := (len(p.record.RawSample)+7)&^7 + 8
	err = decode(p.record.RawSample, ev)
	if err == nil {
		p.consumed(payer(ev), uint64(len(p.record.RawSample)))
	}
	return size, err
}

// payer returns the session to whose share of the ring an event was counted.
// What must not be missed is on nobody's account: see the calls of emit in bpf/.
func payer(ev *kevent.Event) uint64 {
	switch {
	case ev.Type == kevent.Enter, ev.Type == kevent.Unborn, ev.Type == kevent.Exit && ev.First:
		return 0
	}
	return ev.Session
}

// Waiting returns how many bytes of the ring are not read yet.
func (p *Probe) Waiting() int { return p.reader.AvailableBytes() }

// Arm attaches the programs that see streams, where the flavour attaches them
// only while needed. It is quick when they are attached already.
func (p *Probe) Arm() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed != nil {
		return nil
	}
	l, err := link.AttachTracing(link.TracingOptions{Program: p.capture})
	if err != nil {
		return fmt.Errorf("attach capture: %w", explain(err))
	}
	if p.pins != nil {
		if err := l.Pin(p.pins.link(recorderProgOnSysExit)); err != nil {
			return errors.Join(fmt.Errorf("pin capture: %w", err), l.Close())
		}
	}
	p.armed, p.armedAt = l, Now()
	return nil
}

// Disarm detaches what Arm attached.
func (p *Probe) Disarm() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed == nil {
		return nil
	}
	var err error
	if p.pins != nil {
		err = p.armed.Unpin()
	}
	err = errors.Join(err, p.armed.Close())
	p.armed, p.armedAt = nil, 0
	return err
}

// ArmedSince returns since when streams are seen, as kevent.Event.At, and
// whether they are seen at all. After a take-over the time is 0.
func (p *Probe) ArmedSince() (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.armedAt, p.armed != nil
}

// Now reads the clock of kevent.Event.At.
func Now() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // not possible: the clock exists since 2.6
	}
	return uint64(ts.Nano())
}

// Close lets go of everything. Pinned programs go on capturing; see Unload.
func (p *Probe) Close() error {
	var errs []error
	if p.reader != nil {
		errs = append(errs, p.reader.Close())
	}
	errs = append(errs, p.dropHandles())
	if p.pins != nil {
		errs = append(errs, p.pins.release())
	}
	return errors.Join(errs...)
}

func (p *Probe) dropHandles() error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	p.mu.Lock()
	if p.armed != nil {
		errs = append(errs, p.armed.Close())
	}
	p.armed, p.links = nil, nil
	p.mu.Unlock()
	for _, g := range p.pendingProgs {
		errs = append(errs, g.Close())
	}
	p.pendingProgs = nil
	if p.capture != nil {
		errs = append(errs, p.capture.Close())
		p.capture = nil
	}
	errs = append(errs, p.maps.Close())
	p.maps = recorderMaps{}
	return errors.Join(errs...)
}

// Unload ends capture: detaches and removes the pins. Close is still needed.
func (p *Probe) Unload() error {
	err := p.Disarm()
	if p.pins == nil {
		return err
	}
	return errors.Join(err, p.pins.removeAll(), p.pins.unmount())
}
