//go:build !linux

package hostnet

import (
	"context"
	"errors"
	"net/netip"
)

// Finder finds peers, on Linux.
type Finder struct {
	// Proc is where the node's proc file system is mounted; "" is /proc.
	Proc string
}

// Peer returns errors.ErrUnsupported here.
func (Finder) Peer(context.Context, int) (netip.AddrPort, bool, error) {
	return netip.AddrPort{}, false, errors.ErrUnsupported
}
