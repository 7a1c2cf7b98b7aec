package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/kubetape/kubetape/internal/kevent"
)

// Types of record, as in bpf/event.h.
const (
	evData = 1 + iota
	evUnseen
	evEOF
	evEnter
	evExec
	evExit
	evResize
	evHint
	evUnborn
)

const enterShares = 0x100 // ENTER_SHARES in bpf/event.h

const (
	lflagCanonical = 0o2  // ICANON
	lflagEcho      = 0o10 // ECHO
)

var errShort = errors.New("record too short")

var (
	sizeHeader = int(unsafe.Sizeof(recorderEvHeader{}))
	sizeData   = int(unsafe.Sizeof(recorderEvData{}))
	sizeExec   = int(unsafe.Sizeof(recorderEvExec{}))
	sizeExit   = int(unsafe.Sizeof(recorderEvExit{}))
	sizeResize = int(unsafe.Sizeof(recorderEvResize{}))
)

// decode fills ev from one record of the ring. ev.Bytes and ev.Program.Argv
// point into raw. It never reads beyond raw, whatever raw holds.
func decode(raw []byte, ev *kevent.Event) error {
	if len(raw) < sizeHeader {
		return fmt.Errorf("decode header: %w", errShort)
	}
	le := binary.LittleEndian
	*ev = kevent.Event{At: le.Uint64(raw), Session: le.Uint64(raw[8:])}
	kind, size := le.Uint32(raw[16:]), int(le.Uint32(raw[20:]))
	if size < sizeHeader || size > len(raw) {
		return fmt.Errorf("decode record of type %d: size %d of %d: %w", kind, size, len(raw), errShort)
	}
	raw = raw[:size]
	switch kind {
	case evData, evUnseen, evEOF:
		return decodeData(raw, kind, ev)
	case evEnter, evExec:
		return decodeExec(raw, kind, ev)
	case evExit:
		if len(raw) < sizeExit {
			return fmt.Errorf("decode exit: %w", errShort)
		}
		ev.Type, ev.Seq = kevent.Exit, le.Uint64(raw[24:])
		ev.PID, ev.Code, ev.First = int(le.Uint32(raw[32:])), le.Uint32(raw[36:]), le.Uint32(raw[40:]) != 0
	case evResize:
		if len(raw) < sizeResize {
			return fmt.Errorf("decode resize: %w", errShort)
		}
		ev.Type, ev.Seq = kevent.Resize, le.Uint64(raw[24:])
		ev.Rows, ev.Cols = le.Uint16(raw[32:]), le.Uint16(raw[34:])
	case evHint:
		ev.Type = kevent.Hint
	case evUnborn:
		ev.Type = kevent.Unborn
	default:
		return fmt.Errorf("decode record: unknown type %d", kind)
	}
	return nil
}

func decodeData(raw []byte, kind uint32, ev *kevent.Event) error {
	if len(raw) < sizeData {
		return fmt.Errorf("decode data: %w", errShort)
	}
	le := binary.LittleEndian
	ev.Off, ev.Len = le.Uint64(raw[24:]), le.Uint64(raw[32:])
	changed := le.Uint64(raw[40:])
	stream, why := le.Uint32(raw[48:]), le.Uint32(raw[52:])
	now, prev := le.Uint32(raw[56:]), le.Uint32(raw[60:])
	ev.Holder, ev.FD = int(le.Uint32(raw[64:])), int(le.Uint32(raw[68:]))
	if stream > 2 {
		return fmt.Errorf("decode data: stream %d", stream)
	}
	ev.Stream = int(stream)
	ev.Why = kevent.Unread(min(why, 255))
	ev.Term = kevent.Term{
		Known: now != 0, Changed: changed,
		Echo: now&lflagEcho != 0, Canonical: now&lflagCanonical != 0,
		PrevEcho: prev&lflagEcho != 0, PrevCanonical: prev&lflagCanonical != 0,
	}
	switch kind {
	case evData:
		ev.Type, ev.Bytes = kevent.Data, raw[sizeData:]
		if uint64(len(ev.Bytes)) != ev.Len {
			return fmt.Errorf("decode data: %d bytes, %d announced", len(ev.Bytes), ev.Len)
		}
	case evUnseen:
		ev.Type = kevent.Unseen
	case evEOF:
		ev.Type = kevent.EOF
	}
	return nil
}

func decodeExec(raw []byte, kind uint32, ev *kevent.Event) error {
	if len(raw) < sizeExec {
		return fmt.Errorf("decode exec: %w", errShort)
	}
	var x recorderEvExec
	if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, &x); err != nil {
		return fmt.Errorf("decode exec: %w", err)
	}
	rest := raw[sizeExec:]
	ev.Type, ev.Seq = kevent.Exec, x.Seq
	if kind == evEnter {
		ev.Type = kevent.Enter
	}
	p := &ev.Program
	p.Kind, p.Shares, p.Outer = kevent.Kind(x.Kind&0xff), x.Kind&enterShares != 0, x.Outer
	p.PID, p.PPID, p.NSPID = int(x.Pid), int(x.Ppid), int(x.Nspid)
	p.UID, p.LoginUID = x.Uid, x.Loginuid
	p.MountNS, p.PidNS, p.Host = x.Mntns, x.Pidns, x.Host != 0
	p.Written = x.Written
	p.ArgvAll, p.Rows, p.Cols, p.TTY = x.ArgvAll, x.Rows, x.Cols, int(x.TtyIndex)
	p.Comm, p.Parent = text(x.Comm), text(x.Parent)
	for i, f := range x.Fds {
		p.FDs[i] = kevent.FD(f)
	}
	if uint64(len(rest)) < uint64(x.CgroupLen)+uint64(x.ArgvLen) {
		return fmt.Errorf("decode exec: %w", errShort)
	}
	p.Cgroup = upright(string(rest[:x.CgroupLen]))
	p.Argv = rest[x.CgroupLen : x.CgroupLen+x.ArgvLen]
	return nil
}

// decodeStart reads the beginning of an EV_ENTER that was kept: the record may
// announce more than is there.
func decodeStart(raw []byte, ev *kevent.Event) error {
	if len(raw) < sizeExec {
		return fmt.Errorf("decode start: %w", errShort)
	}
	le := binary.LittleEndian
	b := append([]byte(nil), raw...)
	room := uint32(len(b) - sizeExec)
	path := min(le.Uint32(b[offCgroupLen:]), room)
	argv := min(le.Uint32(b[offArgvLen:]), room-path)
	le.PutUint32(b[offCgroupLen:], path)
	le.PutUint32(b[offArgvLen:], argv)
	*ev = kevent.Event{At: le.Uint64(b), Session: le.Uint64(b[8:])}
	return decodeExec(b, evEnter, ev)
}

const (
	offArgvLen   = unsafe.Offsetof(recorderEvExec{}.ArgvLen)
	offCgroupLen = unsafe.Offsetof(recorderEvExec{}.CgroupLen)
)

func text(c [16]int8) string {
	b := make([]byte, 0, len(c))
	for _, v := range c {
		if v == 0 {
			break
		}
		b = append(b, byte(v))
	}
	return string(b)
}

// upright turns "<last>/<its parent>/…/" into a path.
func upright(s string) string {
	if s == "" {
		return "/"
	}
	parts := strings.Split(strings.TrimSuffix(s, "/"), "/")
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return "/" + strings.Join(parts, "/")
}

// slotOf is slot_of in bpf/emit.bpf.h.
func slotOf(sid uint64) uint32 { return uint32(sid * 0x9e3779b97f4a7c15 >> (64 - slotBits)) }

const slotBits = 12
