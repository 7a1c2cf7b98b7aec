package node

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Capabilities that the recorder needs after its start:
//
//	BPF, PERFMON        attach and detach the hook on system calls, read maps
//	SYS_PTRACE          /proc/<pid>/ns, fd, exe and root of other users' processes
//	DAC_READ_SEARCH     the same, past file modes
//	DAC_OVERRIDE        recordings in a directory of another owner
//	SYS_ADMIN           the network namespace of a login, the bpffs at unload
var keep = []uintptr{unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH, unix.CAP_DAC_OVERRIDE, unix.CAP_SYS_ADMIN}

// dropCapabilities gives up all others, in every thread, for good. It works in
// programs that are built without cgo.
func dropCapabilities() error {
	var want [2]uint32
	for _, c := range keep {
		want[c/32] |= 1 << (c % 32)
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	have := [2]uint32{data[0].Permitted, data[1].Permitted}
	for i := range data {
		data[i] = unix.CapUserData{Effective: have[i] & want[i], Permitted: have[i] & want[i]}
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if want[c/32]&(1<<(c%32)) != 0 {
			continue
		}
		if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0); errno != 0 && errno != unix.EINVAL && errno != unix.EPERM {
			return threads(errno)
		}
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return threads(errno)
	}
	return nil
}

func threads(errno syscall.Errno) error {
	if errors.Is(errno, unix.ENOTSUP) {
		return errors.New("drop capabilities: this program was built with cgo")
	}
	return fmt.Errorf("drop capabilities: %w", errno)
}
