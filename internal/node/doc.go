// Package node is the recorder of one machine: it joins the kernel side (probe),
// the state machine (tracker), the identity of containers and logins, and the
// recordings.
//
// One goroutine reads the ring and drives the tracker. What the tracker says is
// queued for a few workers that write the recordings; when they fall behind, the
// reader waits and the ring fills, where the kernel side keeps one session from
// taking another's room and counts what does not fit. So memory is bounded by
// the ring and the queue, and loss is known to the byte.
package node
