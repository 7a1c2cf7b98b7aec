package probe

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/kubetape/kubetape/internal/kevent"
)

// Live is what the kernel knows of an open session.
type Live struct {
	Session uint64
	Outer   uint64
	Kind    kevent.Kind
	MountNS uint32
	First   int    // process id of the first process
	Started uint64 // as kevent.Event.At
	Exited  bool   // the first process has ended
	Ending  bool   // see Ending
	PutOut  bool   // a stream of it was given to another session, or it never got one
	Code    uint32 // as of wait(2)
	Inside  uint64 // processes
	Total   [3]uint64
	Dropped [3]uint64 // of Total, bytes for which the ring had no room
	Seq     uint64    // process and size events so far
	Holder  [3]int    // process at the other end of each stream, 0: not seen
	FD      [3]int    // its descriptor
	EOF     [3]bool   // read to its end
}

func live(sid uint64, s recorderSession) Live {
	l := Live{
		Session: sid, Outer: s.Outer, First: int(s.First), Started: s.Started,
		Kind: kevent.Kind(min(s.Kind, 255)), MountNS: s.Mntns, Ending: s.Ending != 0, PutOut: s.PutOut != 0,
		Exited: s.Exited != 0, Code: s.Code, Inside: s.Live,
		Total: s.Total, Dropped: s.Dropped, Seq: s.Seq,
	}
	for i, h := range s.Holder {
		l.Holder[i], l.FD[i], l.EOF[i] = int(h>>32), int(uint32(h)), s.Eof&(1<<i) != 0
	}
	return l
}

// Sessions lists the sessions that the kernel holds open.
func (p *Probe) Sessions() ([]Live, error) {
	var (
		out []Live
		sid uint64
		s   recorderSession
	)
	it := p.maps.Sessions.Iterate()
	for it.Next(&sid, &s) {
		out = append(out, live(sid, s))
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return out, nil
}

// Lookup returns what the kernel knows of one session.
func (p *Probe) Lookup(sid uint64) (Live, bool) {
	var s recorderSession
	if p.maps.Sessions.Lookup(sid, &s) != nil {
		return Live{}, false
	}
	return live(sid, s), true
}

// Stop ends the capture of sessions: no stream counts for them any more. When
// it returns, every program that saw the old state has finished, so totals are
// final and all that will be in the ring is there. It waits for an RCU grace
// period: some 10 ms. The sessions stay until Forget.
//
// It returns how many process and size events each had told before: those are in
// the ring, whatever its processes do meanwhile.
func (p *Probe) Stop(sids map[uint64]bool) (map[uint64]uint64, error) {
	var (
		key  recorderObjectKey
		info recorderObjectInfo
		errs []error
	)
	type change struct {
		key  recorderObjectKey
		info recorderObjectInfo
		left bool
	}
	var changes []change
	it := p.maps.Objects.Iterate()
	for it.Next(&key, &info) {
		hit, left := false, false
		for i := range info.To {
			if sids[info.To[i].Sid] {
				info.To[i].Sid, hit = 0, true
			}
			left = left || info.To[i].Sid != 0
		}
		if hit {
			changes = append(changes, change{key, info, left})
		}
	}
	if err := it.Err(); err != nil {
		errs = append(errs, fmt.Errorf("list streams: %w", err))
	}
	for _, c := range changes {
		var err error
		// What the kernel has joined to it meanwhile stays.
		if p.maps.Objects.Lookup(c.key, &info) == nil {
			c.left = false
			for i := range info.To {
				if sids[info.To[i].Sid] {
					info.To[i].Sid = 0
				}
				c.left = c.left || info.To[i].Sid != 0
			}
			c.info = info
		}
		if c.left {
			err = p.maps.Objects.Update(c.key, c.info, ebpf.UpdateExist)
		} else {
			err = p.maps.Objects.Delete(c.key)
		}
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("remove stream: %w", err))
		}
	}
	told := make(map[uint64]uint64, len(sids))
	for sid := range sids {
		if l, ok := p.Lookup(sid); ok {
			told[sid] = l.Seq
		}
	}
	return told, errors.Join(append(errs, quiesce())...)
}

// quiesce waits until every BPF program that runs now has finished. They run
// with preemption off, and MEMBARRIER_CMD_GLOBAL is a synchronize_rcu.
func quiesce() error {
	_, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0)
	if errno != 0 {
		return fmt.Errorf("wait for running programs: membarrier: %w", errno)
	}
	return nil
}

// Ending notes in the kernel that the recording of a stopped session is being
// closed. A recorder that is killed after that and before Forget leaves a session
// without an open recording; the note tells its successor why.
func (p *Probe) Ending(sid uint64) error {
	var s recorderSession
	if err := p.maps.Sessions.Lookup(sid, &s); err != nil {
		return fmt.Errorf("look up session: %w", err)
	}
	s.Ending = 1
	if err := p.maps.Sessions.Update(sid, s, ebpf.UpdateExist); err != nil {
		return fmt.Errorf("note end of session: %w", err)
	}
	return nil
}

// Forget removes a session: last of all, when its recording is safe. Call Stop
// first.
func (p *Probe) Forget(sid uint64) error {
	err := errors.Join(ignoreMissing(p.maps.Starts.Delete(sid)), ignoreMissing(p.maps.Sessions.Delete(sid)))
	if err != nil {
		return fmt.Errorf("remove session: %w", err)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// Start returns how a session began, as its Enter told, with less of a long
// argv.
func (p *Probe) Start(sid uint64) (kevent.Event, bool) {
	raw, err := p.maps.Starts.LookupBytes(sid)
	if err != nil || raw == nil {
		return kevent.Event{}, false
	}
	var ev kevent.Event
	if err := decodeStart(raw, &ev); err != nil {
		p.log.Error("stored beginning of a session makes no sense", "error", err)
		return kevent.Event{}, false
	}
	return ev, true
}

// Starter makes the kernel tell when pid starts a process: the parent of a
// container's first process is about to start a session then.
func (p *Probe) Starter(pid int) error {
	if err := p.maps.Holders.Update(uint32(pid), uint32(1), ebpf.UpdateAny); err != nil {
		return fmt.Errorf("note starter: %w", err)
	}
	return nil
}

// consumed tells the kernel that n bytes of sid's share of the ring are free.
func (p *Probe) consumed(sid, n uint64) {
	var b [8]byte
	off := int64(slotOf(sid))*16 + 8
	if _, err := p.slots.ReadAt(b[:], off); err != nil {
		return // cannot be: the slot is inside the map
	}
	binary.NativeEndian.PutUint64(b[:], binary.NativeEndian.Uint64(b[:])+n)
	if _, err := p.slots.WriteAt(b[:], off); err != nil {
		return
	}
}

// Settle makes the shares right again after a recorder died between reading and
// telling. Call it when the ring is empty.
func (p *Probe) Settle() {
	var b [16]byte
	for i := int64(0); i < 1<<slotBits; i++ {
		if _, err := p.slots.ReadAt(b[:], i*16); err != nil {
			return
		}
		copy(b[8:], b[:8])
		if _, err := p.slots.WriteAt(b[8:], i*16+8); err != nil {
			return
		}
	}
}

// Counters is what the kernel side could not do.
type Counters struct {
	RingDrops    uint64 // records that did not fit into the ring
	TasksFull    uint64 // processes that could not be followed
	SessionsFull uint64 // sessions that could not be opened
	StreamsFull  uint64 // streams that could not be joined to their session
}

// Counters reads the counters; they only grow while the capture is loaded.
func (p *Probe) Counters() (Counters, error) {
	var c recorderCounters
	if err := p.maps.Counts.Lookup(uint32(0), &c); err != nil {
		return Counters{}, fmt.Errorf("read counters: %w", err)
	}
	return Counters{RingDrops: c.RingDrops, TasksFull: c.TasksFull, SessionsFull: c.SessionsFull, StreamsFull: c.StreamsFull}, nil
}

// include/uapi/linux/membarrier.h
const (
	membarrierQuery  = 0
	membarrierGlobal = 1 << 0
)
