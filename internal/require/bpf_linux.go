package require

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BPF needs root, the kernel's BTF, and a kernel that lets this process make a
// ring buffer (Linux 5.8). It does not say which program types may be loaded:
// that is what package probe finds out.
func BPF(t testing.TB) {
	t.Helper()
	Root(t)
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		Skip(t, "needs the kernel's BTF: %v", err)
	}
	if err := makeRing(); err != nil {
		Skip(t, "needs a BPF ring buffer: %v", err)
	}
}

// makeRing makes the smallest ring buffer and drops it again, by the bare
// system call, so that this package stays free of a BPF library.
func makeRing() error {
	attr := struct {
		mapType, keySize, valueSize, maxEntries, flags uint32
	}{mapType: unix.BPF_MAP_TYPE_RINGBUF, maxEntries: uint32(os.Getpagesize())}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_CREATE,
		uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}
