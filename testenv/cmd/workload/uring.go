package main

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The few words of io_uring(7) that one write at a time needs; from the
// kernel's include/uapi/linux/io_uring.h.
const (
	ringOffSQ       = 0
	ringOffCQ       = 0x8000000
	ringOffEntries  = 0x10000000
	ringOpWrite     = 23
	ringGetEvents   = 1
	ringEntryBytes  = 64
	ringAtPosition  = ^uint64(0) // the file's own position, as write(2)
	ringResultBytes = 16
)

type ringParams struct {
	sqEntries, cqEntries, flags, threadCPU, threadIdle, features, wq uint32
	_                                                                [3]uint32
	sq                                                               struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

type ringEntry struct {
	opcode, flags uint8
	priority      uint16
	fd            int32
	off, addr     uint64
	length        uint32
	_             [ringEntryBytes - 28]byte
}

// ring is an io_uring of one entry.
type ring struct {
	fd              int
	p               ringParams
	sq, cq, entries []byte
}

func newRing() (*ring, error) {
	r := &ring{}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&r.p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("set up io_uring: %w", errno)
	}
	r.fd = int(fd)
	for _, m := range []struct {
		at   *[]byte
		off  int64
		size uint32
	}{
		{&r.sq, ringOffSQ, r.p.sq.array + r.p.sqEntries*4},
		{&r.cq, ringOffCQ, r.p.cq.cqes + r.p.cqEntries*ringResultBytes},
		{&r.entries, ringOffEntries, r.p.sqEntries * ringEntryBytes},
	} {
		b, err := unix.Mmap(r.fd, m.off, int(m.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			return nil, fmt.Errorf("map io_uring: %w", err)
		}
		*m.at = b
	}
	return r, nil
}

func word(b []byte, off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&b[off])) }

// write submits one write and waits for its result.
func (r *ring) write(fd int, b []byte) (int, error) {
	*(*ringEntry)(unsafe.Pointer(&r.entries[0])) = ringEntry{
		opcode: ringOpWrite, fd: int32(fd), off: ringAtPosition,
		addr: uint64(uintptr(unsafe.Pointer(&b[0]))), length: uint32(len(b)),
	}
	*word(r.sq, r.p.sq.array) = 0
	atomic.AddUint32(word(r.sq, r.p.sq.tail), 1)
	head := atomic.LoadUint32(word(r.cq, r.p.cq.head))
	submit := uintptr(1)
	// A signal may end the call after the write was handed in and before it is done.
	for atomic.LoadUint32(word(r.cq, r.p.cq.tail)) == head {
		n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), submit, 1, ringGetEvents, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return 0, fmt.Errorf("enter io_uring: %w", errno)
		}
		if errno == 0 {
			submit -= min(submit, n)
		}
	}
	runtime.KeepAlive(b)
	slot := r.p.cq.cqes + (head&*word(r.cq, r.p.cq.mask))*ringResultBytes
	res := int32(*word(r.cq, slot+8))
	atomic.StoreUint32(word(r.cq, r.p.cq.head), head+1)
	if res < 0 {
		return 0, unix.Errno(-res)
	}
	return int(res), nil
}

func ioUring(args []string) error {
	r, err := newRing()
	if err != nil {
		return err
	}
	return parts(args, func(b []byte) (int, error) { return r.write(1, b) })
}
