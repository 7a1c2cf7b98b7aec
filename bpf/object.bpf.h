/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Terminals, pipes and sockets, named the same from both ends.
 *
 * A terminal is named by its slave's tty_struct with the inode of its node in
 * devpts: tty->index is not unique across devpts mounts, and either address
 * alone may be used again. A pipe is its inode with its number. Of a socket
 * pair the name is the holder's end, since that is the one the hook sees.
 * Nothing in a name can be changed from inside a container.
 */
#ifndef KT_OBJECT_H
#define KT_OBJECT_H

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFIFO 0010000
#define S_IFCHR 0020000
#define DEV(major, minor) (((major) << 20) | (minor)) /* kernel-internal dev_t */
#define UNIX98_SLAVE_FIRST 136
#define UNIX98_SLAVE_LAST 143
#define OLD_TTY_DRIVER_TYPE_PTY 4 /* up to 6.17 it was a macro, and another number */
#define AF_UNIX 1

struct object {
	struct object_key key;
	struct tty_struct *slave; /* of a terminal, else NULL */
	struct inode *inode;
	u32 kind;   /* enum fd_kind */
	u32 master; /* of a terminal: seen from the master's end */
};

static __always_inline struct file *file_of(struct task_struct *t, u32 fd)
{
	struct fdtable *fdt = BPF_CORE_READ(t, files, fdt);
	struct file **fds;
	struct file *f = 0;

	if (!fdt || fd >= BPF_CORE_READ(fdt, max_fds))
		return 0;
	fds = BPF_CORE_READ(fdt, fd);
	bpf_probe_read_kernel(&f, sizeof(f), fds + fd);
	return f;
}

/* include/linux/tty_driver.h: shorts and macros up to 6.17, enums since. */
static __always_inline bool is_pty(struct tty_driver *d, bool *master)
{
	struct tty_driver___short *o = (void *)d;

	if (bpf_core_field_exists(o->type)) {
		*master = BPF_CORE_READ(o, subtype) == PTY_TYPE_MASTER;
		return BPF_CORE_READ(o, type) == OLD_TTY_DRIVER_TYPE_PTY;
	}
	*master = BPF_CORE_READ(d, subtype) == PTY_TYPE_MASTER;
	return BPF_CORE_READ(d, type) == bpf_core_enum_value(enum tty_driver_type, TTY_DRIVER_TYPE_PTY);
}

static __always_inline void name_tty(struct object *o, struct tty_struct *tty)
{
	struct tty_driver *d = BPF_CORE_READ(tty, driver);
	struct tty_struct *slave = tty;
	struct dentry *node;
	bool master;

	if (!is_pty(d, &master))
		return;
	o->master = master;
	if (master)
		slave = BPF_CORE_READ(tty, link);
	node = BPF_CORE_READ(slave, driver_data);
	o->slave = slave;
	o->key.obj = (u64)slave;
	o->key.uniq = (u64)BPF_CORE_READ(node, d_inode);
	o->kind = FD_TTY;
}

/* kind is FD_FILE or FD_NULL when there is nothing to record. */
static __always_inline void name_file(struct object *o, struct file *f)
{
	struct inode *ino = BPF_CORE_READ(f, f_inode);
	u32 mode = BPF_CORE_READ(ino, i_mode) & S_IFMT;

	o->inode = ino;
	o->kind = FD_FILE;
	if (mode == S_IFIFO || mode == S_IFSOCK) {
		o->key.obj = (u64)ino;
		o->key.uniq = BPF_CORE_READ(ino, i_ino);
		o->kind = mode == S_IFIFO ? FD_PIPE : FD_SOCKET;
	} else if (mode == S_IFCHR) {
		u32 dev = BPF_CORE_READ(ino, i_rdev);
		u32 major = dev >> 20;

		if (dev == DEV(1, 3))
			o->kind = FD_NULL;
		if (dev == DEV(5, 2) || dev == DEV(5, 0) ||
		    (major >= UNIX98_SLAVE_FIRST && major <= UNIX98_SLAVE_LAST)) {
			struct tty_file_private *p = BPF_CORE_READ(f, private_data);
			struct tty_struct *tty = BPF_CORE_READ(p, tty);

			if (tty)
				name_tty(o, tty);
		}
	}
}

/* The holder's end of the socket pair that f is one end of. */
static __always_inline bool name_peer(struct object *o, struct file *f)
{
	struct socket *s = BPF_CORE_READ(f, private_data);
	struct unix_sock *u = (struct unix_sock *)BPF_CORE_READ(s, sk);
	struct sock *peer;
	struct inode *ino;

	if (BPF_CORE_READ((struct sock *)u, __sk_common.skc_family) != AF_UNIX)
		return false;
	peer = BPF_CORE_READ(u, peer);
	if (!peer)
		return false;
	ino = BPF_CORE_READ(peer, sk_socket, file, f_inode);
	if (!ino)
		return false;
	o->key.obj = (u64)ino;
	o->key.uniq = BPF_CORE_READ(ino, i_ino);
	return true;
}

static __always_inline u32 lflag_of(struct tty_struct *slave)
{
	return BPF_CORE_READ(slave, termios.c_lflag);
}
#endif
