package hostnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The limits of one Peer call.
const (
	// maxAncestors is how far up Peer looks. A shell's sshd is one to three
	// processes away; su, sudo and nested shells add some.
	maxAncestors = 32
	// maxTime bounds each wait for the kernel's answer.
	maxTime = 2 * time.Second
	// tries is how often a list of sockets is asked for that changed while the
	// kernel wrote it.
	tries = 3
)

// Finder finds peers. The zero Finder is ready. It is safe for concurrent use.
type Finder struct {
	// Proc is where the node's proc file system is mounted; "" is /proc.
	Proc string
}

// Peer returns the remote end of the established TCP connection that pid has
// accepted, or else the nearest of its ancestors, holds. IPv4 addresses are returned as such
// also where the socket is an IPv6 one. It is false where none of them holds a
// connection. Where a process holds several (sshd forwards ports), the one with
// the lowest descriptor counts: a server has its client's before any other.
//
// The error is fs.ErrNotExist where pid does not exist (any more). Process 1 is
// not asked: what it holds has nothing to do with a login.
func (f Finder) Peer(ctx context.Context, pid int) (netip.AddrPort, bool, error) {
	lists := make(map[string]map[uint32]netip.AddrPort) // by network namespace
	for n := 0; pid > 1 && n < maxAncestors; n++ {
		if err := ctx.Err(); err != nil {
			return netip.AddrPort{}, false, err
		}
		peer, ok, err := f.peerOf(ctx, pid, lists)
		if ok {
			return peer, true, nil
		}
		if err == nil {
			pid, err = f.parent(pid)
		}
		if err != nil {
			if n > 0 && errors.Is(err, os.ErrNotExist) {
				return netip.AddrPort{}, false, nil // an ancestor that has ended
			}
			return netip.AddrPort{}, false, fmt.Errorf("find the peer of process %d: %w", pid, err)
		}
	}
	return netip.AddrPort{}, false, nil
}

// peerOf is Peer for one process.
func (f Finder) peerOf(ctx context.Context, pid int, lists map[string]map[uint32]netip.AddrPort) (netip.AddrPort, bool, error) {
	inodes, err := f.sockets(pid)
	if err != nil || len(inodes) == 0 {
		return netip.AddrPort{}, false, err
	}
	path := filepath.Join(f.dir(pid), "ns", "net")
	ns, err := os.Readlink(path)
	if err != nil {
		return netip.AddrPort{}, false, err
	}
	list, known := lists[ns]
	if !known {
		if list, err = established(ctx, path, ns); err != nil {
			return netip.AddrPort{}, false, err
		}
		lists[ns] = list
	}
	for _, inode := range inodes {
		if peer, ok := list[inode]; ok {
			return peer, true, nil
		}
	}
	return netip.AddrPort{}, false, nil
}

// established lists the accepted TCP connections of a network namespace that are
// established: inode of the socket → remote end. One is taken for accepted where
// somebody listens on its local port.
func established(ctx context.Context, path, ns string) (map[uint32]netip.AddrPort, error) {
	h, err := open(path, ns)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	defer h.Close()
	limit := maxTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(min(limit, time.Until(deadline)), time.Millisecond)
	}
	if err := h.SetSocketTimeout(limit); err != nil {
		return nil, fmt.Errorf("limit the time of sock_diag: %w", err)
	}
	list := make(map[uint32]netip.AddrPort)
	local := make(map[uint32]uint16)
	listening := make(map[uint16]bool)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		socks, err := h.SocketDiagTCP(family)
		for n := 1; n < tries && errors.Is(err, netlink.ErrDumpInterrupted); n++ {
			socks, err = h.SocketDiagTCP(family)
		}
		// What was listed of a list that keeps changing is still true.
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		for _, s := range socks {
			if s.State == netlink.TCP_LISTEN {
				listening[s.ID.SourcePort] = true
			}
			addr, ok := netip.AddrFromSlice(s.ID.Destination)
			if ok && s.State == netlink.TCP_ESTABLISHED && s.INode != 0 {
				list[s.INode] = netip.AddrPortFrom(addr.Unmap(), s.ID.DestinationPort)
				local[s.INode] = s.ID.SourcePort
			}
		}
	}
	for inode, port := range local {
		if !listening[port] { // made from here, not accepted: an ssh client's
			delete(list, inode)
		}
	}
	return list, nil
}

// open opens sock_diag in the network namespace at path, without entering it
// where it is this process's own: entering takes a privilege.
func open(path, ns string) (*netlink.Handle, error) {
	if own, err := os.Readlink("/proc/thread-self/ns/net"); err == nil && own == ns {
		return netlink.NewHandle(unix.NETLINK_INET_DIAG)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // opened for reading: nothing to lose
	return openAt(netlink.NewHandleAt, int(f.Fd()))
}

// openAt calls netlink's function with its own type for a namespace, which
// comes from a module that this one need not import.
func openAt[NS ~int](open func(NS, ...int) (*netlink.Handle, error), fd int) (*netlink.Handle, error) {
	return open(NS(fd), unix.NETLINK_INET_DIAG)
}
