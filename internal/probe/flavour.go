package probe

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Flavour is a way to see streams. All flavours tell the same events.
type Flavour string

// Syscall sees the end of read and write calls at the end that the runtime
// holds. It is the only flavour so far; fentry and kprobe come before it in
// Flavours once they are there.
const Syscall Flavour = "syscall"

// Flavours lists all flavours in the order in which they are tried.
var Flavours = []Flavour{Syscall}

func (f Flavour) known() bool {
	for _, k := range Flavours {
		if f == k {
			return true
		}
	}
	return false
}

// Answer is what a look at the kernel found. A "could not tell" is not a no.
type Answer string

// The three answers.
const (
	Yes      Answer = "yes"
	No       Answer = "no"
	CantTell Answer = "could not tell"
)

// Finding is one thing that was looked for.
type Finding struct {
	Name   string `json:"name"`
	Answer Answer `json:"answer"`
	Need   bool   `json:"needed"`           // no capture without it
	Detail string `json:"detail,omitempty"` // the reason, or where it was found
}

func finding(name string, need bool, err error) Finding {
	f := Finding{Name: name, Need: need, Answer: Yes}
	switch {
	case err == nil:
	case errors.Is(err, ebpf.ErrNotSupported):
		f.Answer, f.Detail = No, err.Error()
	default:
		f.Answer, f.Detail = CantTell, err.Error()
	}
	return f
}

// Report is what this kernel allows.
type Report struct {
	Kernel   string    `json:"kernel"`
	Flavour  Flavour   `json:"flavour"` // "" when there is none
	Why      string    `json:"why"`
	Findings []Finding `json:"findings"`
}

// Usable reports whether capture is possible.
func (r Report) Usable() bool { return r.Flavour != "" }

// Check looks at the kernel without leaving anything behind.
func Check(forced Flavour) Report {
	r := Report{Kernel: release(), Findings: []Finding{
		finding("running as root", true, haveRoot()),
		finding("kernel type information (BTF)", true, haveBTF()),
		finding("ring buffer map", true, features.HaveMapType(ebpf.RingBuf)),
		finding("programs on typed tracepoints", true, haveTracing()),
		finding("memory barrier system call", true, haveMembarrier()),
		finding("bpffs", false, haveBPFFS()),
	}}
	f, err := chooseFrom(forced, r.Findings)
	if err != nil {
		r.Why = err.Error()
		return r
	}
	r.Flavour = f
	r.Why = "system call tracepoint works here"
	if forced != "" {
		r.Why = "forced by configuration"
	}
	return r
}

func choose(forced Flavour) (Flavour, error) {
	return chooseFrom(forced, Check("").Findings)
}

// chooseFrom moves on only at a clear no. With one flavour there is nothing to
// move on to.
func chooseFrom(forced Flavour, found []Finding) (Flavour, error) {
	for _, f := range found {
		if f.Need && f.Answer == No {
			return "", fmt.Errorf("%s: not available: %s", f.Name, f.Detail)
		}
		if f.Need && f.Answer == CantTell {
			return "", fmt.Errorf("%s: could not tell: %s", f.Name, f.Detail)
		}
	}
	if forced != "" {
		return forced, nil
	}
	return Syscall, nil
}

func haveRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("user id %d; run as root (sudo): %w", os.Geteuid(), ebpf.ErrNotSupported)
	}
	return nil
}

func haveBTF() error {
	_, err := btf.LoadKernelSpec()
	if errors.Is(err, btf.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("kernel built without CONFIG_DEBUG_INFO_BTF: %w", ebpf.ErrNotSupported)
	}
	return err
}

// haveTracing loads and attaches a program that does nothing to the tracepoint
// that sessions begin at.
func haveTracing() error {
	if haveBTF() != nil {
		return fmt.Errorf("needs kernel type information: %w", ebpf.ErrNotSupported)
	}
	spec := &ebpf.ProgramSpec{
		Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "sched_process_exec",
		License: "Dual BSD/GPL", Instructions: nothing(),
	}
	prog, err := ebpf.NewProgram(spec)
	if err != nil {
		return err
	}
	defer prog.Close()
	l, err := link.AttachTracing(link.TracingOptions{Program: prog})
	if err != nil {
		return err
	}
	return l.Close()
}

func haveMembarrier() error {
	mask, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierQuery, 0, 0)
	if errno == unix.ENOSYS || errno == 0 && mask&membarrierGlobal == 0 {
		return fmt.Errorf("no global memory barrier: %w", ebpf.ErrNotSupported)
	}
	if errno != 0 {
		return errno
	}
	return nil
}

func haveBPFFS() error {
	b, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	for _, l := range splitLines(b) {
		if l == "nodev\tbpf" {
			return nil
		}
	}
	return fmt.Errorf("file system type bpf is not known: %w", ebpf.ErrNotSupported)
}

func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// explain adds what to do to errors whose cause is known.
func explain(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w (needs root, or CAP_BPF with CAP_PERFMON and CAP_SYS_RESOURCE on old kernels)", err)
	}
	return err
}
