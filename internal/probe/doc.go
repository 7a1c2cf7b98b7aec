// Package probe loads the BPF programs, attaches them, and turns what they put
// into the ring into values of package kevent. It is the only user of
// cilium/ebpf, and the layout of kernel memory and of the ring stops here.
//
// Maps, links and the ring are pinned in a bpffs directory: capture goes on
// while no recorder runs, until the ring is full, and the next one goes on where
// the last one stopped.
package probe
