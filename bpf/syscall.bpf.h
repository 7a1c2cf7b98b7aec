/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flavour "syscall": the end of read and write calls, seen at the end that the
 * runtime holds. Needs no trampoline and works under kernel lockdown. It costs
 * every system call of the node while attached, so the recorder attaches it only
 * while a session is open.
 */
#ifndef KT_SYSCALL_H
#define KT_SYSCALL_H

#if defined(__TARGET_ARCH_x86)
#define NR(regs) ((long)(regs)->orig_ax)
#define ARG1(regs) ((regs)->di)
#define ARG2(regs) ((regs)->si)
#define ARG3(regs) ((regs)->dx)
#define ARG4(regs) ((regs)->r10)
enum {
	NR_read = 0,
	NR_write = 1,
	NR_ioctl = 16,
	NR_readv = 19,
	NR_writev = 20,
	NR_sendfile = 40,
	NR_sendto = 44,
	NR_recvfrom = 45,
	NR_sendmsg = 46,
	NR_recvmsg = 47,
	NR_splice = 275,
	NR_vmsplice = 278,
	NR_preadv2 = 327,
	NR_pwritev2 = 328,
};
#elif defined(__TARGET_ARCH_arm64)
#define NR(regs) ((long)(regs)->syscallno)
#define ARG1(regs) ((regs)->orig_x0)
#define ARG2(regs) ((regs)->regs[1])
#define ARG3(regs) ((regs)->regs[2])
#define ARG4(regs) ((regs)->regs[3])
enum {
	NR_ioctl = 29,
	NR_read = 63,
	NR_write = 64,
	NR_readv = 65,
	NR_writev = 66,
	NR_sendfile = 71,
	NR_vmsplice = 75,
	NR_splice = 76,
	NR_sendto = 206,
	NR_recvfrom = 207,
	NR_sendmsg = 211,
	NR_recvmsg = 212,
	NR_preadv2 = 286,
	NR_pwritev2 = 287,
};
#endif

#define TS_COMPAT 2 /* x86: the call came by the 32-bit way and has other numbers */

static __always_inline bool is_compat(void)
{
#if defined(__TARGET_ARCH_x86)
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();

	if (bpf_core_field_exists(t->thread_info.status))
		return BPF_CORE_READ(t, thread_info.status) & TS_COMPAT;
#endif
	return false;
}

#define TCSETS 0x5402
#define TCSETSF 0x5404
#define TCSETS2 0x402c542b
#define TCSETSF2 0x402c542d
#define TIOCSWINSZ 0x5414
#define EIO 5
#define MSG_PEEK 2

/* How a call moves bytes; WRITES is added for the direction. */
enum how { HOW_BUF = 0, HOW_IOV = 1, HOW_MOVED = 2, WRITES = 4 };

/* For a terminal only the master's end counts; its slave's is the container's. */
static __always_inline bool other_end(struct object *o)
{
	return o->kind == FD_PIPE || o->kind == FD_SOCKET || (o->kind == FD_TTY && o->master);
}

/* Global functions: verified once, not at each place they are called from. */
__attribute__((noinline)) int on_io(u32 fd, u32 how, u64 addr, u64 count, s64 ret)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	bool write = how & WRITES, eof = !write && (ret == 0 || ret == -EIO);
	struct object o = {};
	struct file *f;

	if (ret <= 0 && !eof)
		return 0;
	f = file_of(t, fd);
	if (!f)
		return 0;
	name_file(&o, f);
	if (!other_end(&o))
		return 0;
	if (!begin(&o, write, bpf_get_current_pid_tgid() >> 32, fd))
		return 0;
	how &= ~WRITES;
	if (eof)
		record_eof();
	else if (how == HOW_BUF)
		record_user(addr, ret);
	else if (how == HOW_IOV)
		record_iov(addr, count, ret);
	else
		record_unseen(ret, UNSEEN_MOVED);
	return 0;
}

__attribute__((noinline)) int on_ioctl(u32 fd, u32 cmd)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	struct object o = {};
	struct file *f;

	if (cmd != TIOCSWINSZ && !(cmd >= TCSETS && cmd <= TCSETSF) &&
	    !(cmd >= TCSETS2 && cmd <= TCSETSF2))
		return 0;
	f = file_of(t, fd);
	if (!f)
		return 0;
	name_file(&o, f);
	if (o.kind != FD_TTY)
		return 0;
	if (cmd == TIOCSWINSZ)
		record_resize(&o);
	else
		note_termios(&o);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret)
{
	u64 a1, a2, a3;
	long nr = NR(regs);

	/* One comparison turns most calls away. */
	switch (nr) {
	case NR_read:
	case NR_write:
	case NR_readv:
	case NR_writev:
	case NR_preadv2:
	case NR_pwritev2:
	case NR_recvfrom:
	case NR_sendto:
	case NR_recvmsg:
	case NR_sendmsg:
	case NR_splice:
	case NR_vmsplice:
	case NR_sendfile:
	case NR_ioctl:
		break;
	default:
		return 0;
	}
	a1 = ARG1(regs);
	a2 = ARG2(regs);
	a3 = ARG3(regs);
	if (is_compat())
		return 0;
	if ((nr == NR_read || nr == NR_recvfrom) && !a3)
		return 0; /* asked for nothing: no end of file */
	if (nr == NR_recvfrom && (ARG4(regs) & MSG_PEEK))
		return 0;
	if (nr == NR_read || nr == NR_recvfrom)
		on_io(a1, HOW_BUF, a2, 0, ret);
	else if (nr == NR_write || nr == NR_sendto)
		on_io(a1, WRITES | HOW_BUF, a2, 0, ret);
	else if (nr == NR_readv || nr == NR_preadv2)
		on_io(a1, HOW_IOV, a2, a3, ret);
	else if (nr == NR_writev || nr == NR_pwritev2 || nr == NR_vmsplice)
		on_io(a1, WRITES | HOW_IOV, a2, a3, ret);
	else if (nr == NR_ioctl) {
		if (ret == 0)
			on_ioctl(a1, a2);
	} else if (nr == NR_recvmsg)
		on_io(a1, HOW_MOVED, 0, 0, ret);
	else if (nr == NR_sendmsg)
		on_io(a1, WRITES | HOW_MOVED, 0, 0, ret);
	else if (nr == NR_splice) {
		on_io(a1, HOW_MOVED, 0, 0, ret);
		if (ret > 0)
			on_io(a3, WRITES | HOW_MOVED, 0, 0, ret);
	} else if (nr == NR_sendfile) {
		on_io(a2, HOW_MOVED, 0, 0, ret);
		if (ret > 0)
			on_io(a1, WRITES | HOW_MOVED, 0, 0, ret);
	}
	return 0;
}
#endif
