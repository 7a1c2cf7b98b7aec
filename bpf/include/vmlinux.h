/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel types that the recorder reads, with the few fields it needs.
 * Every access is relocated at load time (CO-RE), so order and size here do not
 * matter; names and types do. A name with ___ is the same kernel type at
 * another age.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef signed char __s8;
typedef __s8 s8;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef _Bool bool;
enum { false = 0, true = 1 };

/* uapi/linux/bpf.h: what the helpers' prototypes and our maps name. */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_RB_AVAIL_DATA = 0 };
enum { BPF_F_MMAPABLE = 1 << 10 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10, r9, r8, dx, si, di, orig_ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	u64 regs[31];
	u64 orig_x0;
	s32 syscallno;
};
#endif

struct ns_common {
	unsigned int inum;
};
struct mnt_namespace {
	struct ns_common ns;
};
struct pid_namespace {
	struct ns_common ns;
	unsigned int level;
};
struct nsproxy {
	struct mnt_namespace *mnt_ns;
};
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
};
struct kernfs_node___v615 { /* renamed by kernel commit 741c10b096bc */
	struct kernfs_node *__parent;
};
struct cgroup {
	struct kernfs_node *kn;
};
struct cgroup_subsys_state {
	struct cgroup *cgroup;
};
struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};
enum cgroup_subsys_id {
	memory_cgrp_id = 0, /* the numbers are the kernel's own, by relocation */
	pids_cgrp_id = 1,
	devices_cgrp_id = 2,
};

typedef struct {
	unsigned int val;
} kuid_t;
struct cred {
	kuid_t uid;
	kuid_t euid;
};

typedef struct {
	int counter;
} atomic_t;

struct winsize {
	unsigned short ws_row;
	unsigned short ws_col;
};
struct ktermios {
	unsigned int c_lflag;
};
enum tty_driver_type { TTY_DRIVER_TYPE_PTY = 3 };
enum tty_driver_subtype { PTY_TYPE_MASTER = 1, PTY_TYPE_SLAVE = 2 };
struct tty_driver { /* enums from 6.18 on */
	enum tty_driver_type type;
	enum tty_driver_subtype subtype;
};
struct tty_driver___short { /* up to 6.17 */
	short type;
	short subtype;
};
struct tty_struct {
	int index;
	struct tty_driver *driver;
	struct ktermios termios;
	struct winsize winsize;
	struct tty_struct *link;
	void *driver_data;
};
struct tty_file_private {
	struct tty_struct *tty;
};

struct super_block {
	unsigned int s_dev;
};
struct inode {
	u16 i_mode;
	unsigned int i_rdev;
	unsigned long i_ino;
	struct super_block *i_sb;
};
struct dentry {
	struct inode *d_inode;
};
struct file {
	unsigned int f_mode;
	void *private_data;
	struct inode *f_inode;
};
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};

struct pipe_buffer {
	unsigned int offset;
	unsigned int len;
};
struct pipe_inode_info {
	unsigned int head;
	unsigned int tail;
	unsigned int ring_size;
	struct pipe_buffer *bufs;
};

struct sock;
struct socket {
	struct file *file;
	struct sock *sk;
};
struct sock_common {
	u16 skc_family;
};
struct sk_buff_head {
	u32 qlen;
};
struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_receive_queue;
	struct socket *sk_socket;
};
struct unix_sock {
	struct sock *peer;
};

struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
};
struct task_io_accounting {
	u64 wchar;
};
struct signal_struct {
	struct task_io_accounting ioac;
	atomic_t live;
	int leader;
	int group_exit_code;
	struct tty_struct *tty;
};
struct thread_info {
	u32 status;
};
struct task_struct {
	struct thread_info thread_info;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct mm_struct *mm;
	struct nsproxy *nsproxy;
	struct pid *thread_pid;
	const struct cred *real_cred;
	const struct cred *cred;
	kuid_t loginuid;
	struct css_set *cgroups;
	struct files_struct *files;
	struct signal_struct *signal;
	struct task_io_accounting ioac;
	int exit_code;
	char comm[16];
};
struct linux_binprm {
	const char *filename;
};

#pragma clang attribute pop
#endif
