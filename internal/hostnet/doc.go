// Package hostnet tells who is at the other end of a network login: the peer
// address of the TCP connection that a process (sshd) or one of its ancestors
// holds.
//
// The kernel is asked, not the process: its environment (SSH_CONNECTION) is the
// user's to change. The sockets come from sock_diag over netlink, in the network
// namespace of the process that holds them; which of them are the process's
// comes from /proc/<pid>/fd. It needs root, or CAP_SYS_PTRACE for the
// descriptors and CAP_SYS_ADMIN for namespaces other than its own.
//
// What it does not see: a connection whose socket was made in another network
// namespace than that of the process that holds it, and a login that came
// through a proxy, whose address is what is found then.
package hostnet
