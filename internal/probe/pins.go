package probe

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

const bpffsMagic = 0xcafe4a11 // BPF_FS_MAGIC, include/uapi/linux/magic.h

// pins is a directory on a bpffs:
//
//	<dir>/<digest of the object>/map_<name>, prog_<name>, link_<name>
//
// The digest keeps a recorder from taking over maps of another layout. A set is
// whole when "prog_" is there: it is pinned last.
type pins struct {
	dir     string
	set     string
	mounted string // mount point of a bpffs that we mounted, or ""
	lock    *os.File
	log     *slog.Logger
}

func openPins(dir string, log *slog.Logger) (*pins, error) {
	p := &pins{dir: filepath.Clean(dir), log: log}
	sum := sha256.Sum256(_RecorderBytes)
	p.set = filepath.Join(p.dir, hex.EncodeToString(sum[:6]))
	if err := p.mount(); err != nil {
		return nil, err
	}
	if err := p.take(); err != nil {
		return nil, err
	}
	return p, nil
}

// mount makes sure that the directory lies on a bpffs. The usual place is
// /sys/fs/bpf; for any other directory the bpffs is mounted on the directory
// itself.
func (p *pins) mount() error {
	const usual = "/sys/fs/bpf"
	at := p.dir
	if rel, err := filepath.Rel(usual, p.dir); err == nil && filepath.IsLocal(rel) {
		at = usual
	}
	if onBPFFS(p.dir) || onBPFFS(filepath.Dir(p.dir)) || onBPFFS(at) {
		return nil
	}
	if at != usual {
		if err := os.MkdirAll(at, 0o700); err != nil {
			return fmt.Errorf("make pin directory: %w", err)
		}
	}
	if err := unix.Mount("bpf", at, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount bpffs on %s: %w", at, err)
	}
	p.log.Info("mounted bpffs", "path", at)
	p.mounted = at
	return nil
}

// unmount takes back a mount of ours. A bpffs that an earlier process of ours
// mounted on the pin directory itself is taken away too.
func (p *pins) unmount() error {
	if err := p.release(); err != nil { // an open directory keeps the mount busy
		return err
	}
	at := p.mounted
	if at == "" && isMountPoint(p.dir) && onBPFFS(p.dir) {
		at = p.dir
	}
	if at == "" {
		return nil
	}
	if err := unix.Unmount(at, 0); err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("unmount bpffs from %s: %w", at, err)
	}
	return nil
}

func isMountPoint(dir string) bool {
	var a, b unix.Stat_t
	return unix.Stat(dir, &a) == nil && unix.Stat(filepath.Dir(dir), &b) == nil && a.Dev != b.Dev
}

func onBPFFS(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && uint32(st.Type) == bpffsMagic
}

// ErrBusy is returned by Open and Unload when another process has the capture
// that is pinned in the directory.
var ErrBusy = errors.New("capture is in use by another process")

// take takes the pin directory for this process: two readers of one ring would
// each get a part.
func (p *pins) take() error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return fmt.Errorf("make pin directory: %w", err)
	}
	f, err := os.Open(p.dir)
	if err != nil {
		return fmt.Errorf("open pin directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%w: %s", ErrBusy, p.dir)
		}
		return errors.Join(err, f.Close())
	}
	p.lock = f
	return nil
}

func (p *pins) release() error {
	if p.lock == nil {
		return nil
	}
	err := p.lock.Close()
	p.lock = nil
	return err
}

// make makes the directory for this object's set.
func (p *pins) make() error {
	if err := os.MkdirAll(p.set, 0o700); err != nil {
		return fmt.Errorf("make pin directory: %w", err)
	}
	return nil
}

func (p *pins) link(name string) string { return filepath.Join(p.set, "link_"+name) }
func (p *pins) mapp(name string) string { return filepath.Join(p.set, "map_"+name) }
func (p *pins) prog(name string) string { return filepath.Join(p.set, "prog_"+name) }

// named lists every map that a later recorder needs, by name.
func named(m *recorderMaps) map[string]**ebpf.Map {
	return map[string]**ebpf.Map{
		recorderMapContainers: &m.Containers,
		recorderMapCounts:     &m.Counts,
		recorderMapEvents:     &m.Events,
		recorderMapHolders:    &m.Holders,
		recorderMapObjects:    &m.Objects,
		recorderMapSessions:   &m.Sessions,
		recorderMapSlots:      &m.Slots,
		recorderMapStarts:     &m.Starts,
		recorderMapTasks:      &m.Tasks,
	}
}

func (p *pins) save(m *recorderMaps, capture *ebpf.Program) error {
	for name, mp := range named(m) {
		if err := (*mp).Pin(p.mapp(name)); err != nil {
			return fmt.Errorf("pin map %s: %w", name, err)
		}
	}
	if err := capture.Pin(p.prog(recorderProgOnSysExit)); err != nil {
		return fmt.Errorf("pin program: %w", err)
	}
	return nil
}

// takeOver opens a whole pinned set. It returns false without an error when
// there is none.
func (p *Probe) takeOver() (bool, error) {
	capture, err := ebpf.LoadPinnedProgram(p.pins.prog(recorderProgOnSysExit), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open pinned program: %w", err)
	}
	p.capture = capture
	for name, mp := range named(&p.maps) {
		if *mp, err = ebpf.LoadPinnedMap(p.pins.mapp(name), nil); err != nil {
			return false, fmt.Errorf("open pinned map %s: %w", name, err)
		}
	}
	if got := int(p.maps.Events.MaxEntries()); got != p.cfg.RingBytes {
		p.log.Warn("the ring keeps its size until the capture is unloaded", "bytes", got, "wanted", p.cfg.RingBytes)
	}
	for _, name := range attachOrder {
		l, err := link.LoadPinnedLink(p.pins.link(name), nil)
		if err != nil {
			return false, fmt.Errorf("open pinned link %s: %w", name, err)
		}
		p.links = append(p.links, l)
	}
	l, err := link.LoadPinnedLink(p.pins.link(recorderProgOnSysExit), nil)
	if err == nil {
		p.armed = l
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("open pinned link: %w", err)
	}
	return true, nil
}

// removeAll takes every set out, also those of other versions, and nothing else
// that may lie there. Removing a link's last pin detaches it: links go first.
func (p *pins) removeAll() error {
	for _, kind := range []string{"link_*", "prog_*", "map_*", ""} {
		paths, err := filepath.Glob(filepath.Join(p.dir, "????????????", kind))
		if err != nil {
			return fmt.Errorf("list pins: %w", err)
		}
		for _, path := range paths {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove pin: %w", err)
			}
		}
	}
	return nil
}

// Unload removes a capture that is pinned in dir, of whatever version, without
// loading one. It reports whether there was any.
func Unload(dir string, log *slog.Logger) (bool, error) {
	p := &pins{dir: filepath.Clean(dir), log: log}
	if !onBPFFS(p.dir) {
		return false, nil
	}
	if err := p.take(); err != nil {
		return false, err
	}
	found, err := filepath.Glob(filepath.Join(p.dir, "*", "link_*"))
	if err != nil {
		return false, err
	}
	if err := p.removeAll(); err != nil {
		return len(found) > 0, err
	}
	return len(found) > 0, p.unmount()
}
