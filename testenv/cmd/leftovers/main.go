// Command leftovers says what a test run left on the machine. `leftovers save
// FILE` notes mounts, network namespaces, cgroups of tests, pinned and loaded
// BPF objects; `leftovers compare FILE` prints what is there now and was not
// then, and the processes that carry the environment variable KUBETAPE_RUN with
// this process's value, name a test's directory or sit in a test's cgroup. It exits with status 1 when
// there is any.
//
// Some things end a moment after the one who started them. compare looks again
// for up to ten seconds before it complains.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	marker = "KUBETAPE_RUN"
	grace  = 10 * time.Second
	again  = 200 * time.Millisecond
)

func main() {
	if len(os.Args) != 3 || os.Args[1] != "save" && os.Args[1] != "compare" {
		fmt.Fprintln(os.Stderr, "usage: leftovers save|compare FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "leftovers: %v\n", err)
		os.Exit(1)
	}
}

func run(what, file string) error {
	if what == "save" {
		b, err := json.Marshal(things())
		if err != nil {
			return err
		}
		return os.WriteFile(file, b, 0o600)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before := map[string]bool{}
	if err := json.Unmarshal(b, &before); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	ticker := time.NewTicker(again)
	defer ticker.Stop()
	end := time.After(grace)
	for {
		left := newThings(before)
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-end:
			return fmt.Errorf("%d things are left:\n  %s", len(left), strings.Join(left, "\n  "))
		}
	}
}

func newThings(before map[string]bool) []string {
	var left []string
	for thing := range things() {
		if !before[thing] {
			left = append(left, thing)
		}
	}
	left = append(left, processes()...)
	sort.Strings(left)
	return left
}

// things lists what outlives a process, each as "kind name".
func things() map[string]bool {
	all := map[string]bool{}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(line); len(f) > 4 {
			all["mount "+f[4]] = true
		}
	}
	for kind, pattern := range map[string]string{
		"network namespace": "/run/netns/*",
		"cgroup":            "/sys/fs/cgroup/*/kubetape*",
		"cgroup v2":         "/sys/fs/cgroup/kubetape*",
		"pinned object":     "/sys/fs/bpf/*",
		"temporary file":    filepath.Join(os.TempDir(), "kubetape*"),
		"runtime state":     "/run/containerd/runc/kubetape*",
		"shim socket":       "/run/containerd/s/*",
	} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			all[kind+" "+name] = true
		}
	}
	for kind, cmd := range map[string]uintptr{
		"BPF program": unix.BPF_PROG_GET_NEXT_ID,
		"BPF map":     unix.BPF_MAP_GET_NEXT_ID,
		"BPF link":    unix.BPF_LINK_GET_NEXT_ID,
	} {
		for _, id := range bpfIDs(cmd) {
			all[fmt.Sprintf("%s %d", kind, id)] = true
		}
	}
	return all
}

// bpfIDs lists the loaded BPF objects of one kind; none where that is not allowed.
func bpfIDs(cmd uintptr) []uint32 {
	var ids []uint32
	attr := struct{ start, next, flags uint32 }{}
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		if errno != 0 {
			return ids
		}
		ids = append(ids, attr.next)
		attr.start = attr.next
	}
}

// processes lists the run's processes other than this one and those above it.
func processes() []string {
	mark := os.Getenv(marker)
	above := ancestors()
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var found []string
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if above[pid] {
			continue
		}
		environ, _ := os.ReadFile(filepath.Join(dir, "environ"))
		cgroups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		marked := mark != "" && bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+marker+"="+mark+"\x00"))
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		// sshd writes its title over its environment, but the title has our directory.
		ours := bytes.Contains(cmdline, []byte(filepath.Join(os.TempDir(), "kubetape-")))
		if !marked && !ours && !bytes.Contains(cgroups, []byte(":/kubetape-")) {
			continue
		}
		if len(cmdline) > 0 { // a zombie has none
			found = append(found, fmt.Sprintf("process %d %q", pid, bytes.ReplaceAll(cmdline, []byte{0}, []byte(" "))))
		}
	}
	return found
}

// ancestors returns this process and those it descends from.
func ancestors() map[int]bool {
	all := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !all[pid]; {
		all[pid] = true
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(f) < 2 {
			break
		}
		pid, _ = strconv.Atoi(f[1])
	}
	return all
}
