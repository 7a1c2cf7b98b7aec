/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which terminals, pipes and sockets belong to which session: joined when it is
 * born, and watched before.
 */
#ifndef KT_JOIN_H
#define KT_JOIN_H

/* Bytes that lie in a pipe now. The pipe's lock is not held: a guess when busy. */
static __always_inline u64 pending(struct file *f)
{
	struct pipe_inode_info *p = BPF_CORE_READ(f, private_data);
	u32 head = BPF_CORE_READ(p, head), tail = BPF_CORE_READ(p, tail);
	u32 size = BPF_CORE_READ(p, ring_size);
	struct pipe_buffer *bufs = BPF_CORE_READ(p, bufs);
	u64 sum = 0;

	for (int i = 0; i < 64; i++) {
		u32 len = 0;

		if (tail == head)
			break;
		bpf_probe_read_kernel(&len, sizeof(len),
				      (void *)bufs +
					      (tail & (size - 1)) * bpf_core_type_size(struct pipe_buffer) +
					      bpf_core_field_offset(struct pipe_buffer, len));
		sum += len;
		tail++;
	}
	return sum;
}

#define UNKNOWN (~0ULL) /* some bytes; how many is not known */

/* Whether something lies in a socket's queue. */
static __always_inline bool queued(struct file *f)
{
	struct socket *s = BPF_CORE_READ(f, private_data);

	return BPF_CORE_READ(s, sk, sk_receive_queue.qlen) != 0;
}

static __always_inline u64 new_sid(void)
{
	/*
	 * Unique until the next boot: two processors may read one time, one
	 * processor may not. (An atomic add that returns a value needs 5.12.)
	 */
	return bpf_ktime_get_ns() << 8 | (bpf_get_smp_processor_id() & 0xff);
}

static __always_inline bool is_unborn(u64 sid)
{
	struct session *s = bpf_map_lookup_elem(&sessions, &sid);

	return s && !s->kind;
}

/* The session that waits to be born on an object, or 0. */
static __always_inline u64 unborn_on(struct object *o)
{
	struct object_info *info = bpf_map_lookup_elem(&objects, &o->key);

	return info && info->to[0].sid && is_unborn(info->to[0].sid) ? info->to[0].sid : 0;
}

/*
 * Makes sid one of the sessions of an object, behind those that have it already:
 * none of them may lose its streams because somebody else opened them too. Where
 * there is no room the one that has ended gives way, or else the newcomer, and
 * that is noted in its session.
 *
 * The leader of a terminal's session is the first on it: what has ended there was
 * on an earlier terminal that lay at the same address, and must not get a byte of
 * this one.
 */
static __always_inline void join(struct object *o, u64 sid, s32 on_read, s32 on_write, bool owner)
{
	struct object_info *old = bpf_map_lookup_elem(&objects, &o->key);
	struct object_info info = {};
	struct counters *c = counters();
	struct scratch_exec *x = exec_buf();
	struct session *s;
	int at = -1;

	if (old)
		__builtin_memcpy(&info, old, sizeof(info));
	else if (o->slave)
		info.lflag = info.prev_lflag = lflag_of(o->slave);
#pragma unroll
	for (int i = 0; i < KT_SHARE; i++) {
		u64 have = info.to[i].sid;

		if (have == sid)
			return; /* second descriptor of the same object */
		s = have ? bpf_map_lookup_elem(&sessions, &have) : 0;
		if (!s || !s->kind || (owner && s->exited)) /* free, over, or watched and not born */
			info.to[i].sid = 0;
		else if (x)
			x->shares = 1;
	}
#pragma unroll
	for (int i = KT_SHARE - 1; i >= 0; i--)
		if (!info.to[i].sid)
			at = i;
	if (at < 0) {
#pragma unroll
		for (int i = KT_SHARE - 1; i > 0; i--) {
			u64 have = info.to[i].sid;

			s = bpf_map_lookup_elem(&sessions, &have);
			if (s && s->exited)
				at = i;
		}
		if (at >= 0) {
			u64 have = info.to[at & (KT_SHARE - 1)].sid;

			s = bpf_map_lookup_elem(&sessions, &have);
		} else {
			s = bpf_map_lookup_elem(&sessions, &sid);
		}
		if (s)
			s->put_out = 1;
		if (at < 0)
			return;
	}
#pragma unroll
	for (int i = 0; i < KT_SHARE; i++) {
		if (i == at) {
			info.to[i].sid = sid;
			info.to[i].on_read = on_read;
			info.to[i].on_write = on_write;
		}
	}
	if (bpf_map_update_elem(&objects, &o->key, &info, BPF_ANY)) {
		s = bpf_map_lookup_elem(&sessions, &sid);
		if (s)
			s->put_out = 1;
		if (c)
			__sync_fetch_and_add(&c->streams_full, 1);
	}
}

/*
 * Registers the streams behind fds 0 to 2 of a session's first process: the
 * current one.
 */
__attribute__((noinline)) int join_fds(u64 sid)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	struct scratch_exec *x = exec_buf();
	u64 first_pipe = 0;
	struct ev_exec *ev;

	if (!x)
		return 0;
	ev = &x->ev;
	x->before = 0;
	x->shares = 0;
	for (u32 fd = 0; fd < KT_STREAMS; fd++) {
		struct object o = {};
		struct file *f = file_of(t, fd);

		ev->fds[fd] = FD_NONE;
		if (!f)
			continue;
		name_file(&o, f);
		ev->fds[fd] = o.kind;
		if (o.kind == FD_TTY && !o.master) {
			struct tty_struct *slave = o.slave;

			bool owner = BPF_CORE_READ(t, signal, tty) == slave && BPF_CORE_READ(t, signal, leader);

			if (!owner)
				x->shares = 1; /* it does not hang up with this process */
			ev->rows = BPF_CORE_READ(slave, winsize.ws_row);
			ev->cols = BPF_CORE_READ(slave, winsize.ws_col);
			ev->lflag = lflag_of(slave);
			ev->tty_index = BPF_CORE_READ(slave, index);
			join(&o, sid, 1, 0, owner);
		} else if (o.kind == FD_PIPE) {
			if (fd == 0)
				x->before = pending(f);
			if (fd == 2 && o.key.obj == first_pipe)
				continue; /* 2>&1 */
			if (fd == 1)
				first_pipe = o.key.obj;
			join(&o, sid, fd == 0 ? -1 : fd, fd == 0 ? 0 : -1, false);
		} else if (o.kind == FD_SOCKET) {
			if (fd != 0 && o.key.obj == first_pipe)
				continue;
			first_pipe = o.key.obj;
			if (fd == 0 && queued(f))
				x->before = UNKNOWN;
			if (name_peer(&o, f))
				join(&o, sid, fd == 2 ? 2 : 1, fd == 2 ? -1 : 0, false);
		}
	}
	return 0;
}

#define FMODE_READ 1

/*
 * Runtimes and sshd write to a pipe before the program behind it runs. So a pipe
 * that is about to be a session's is watched from before its first byte: under
 * the number of a session that is not born yet.
 */
static __always_inline void watch(struct file *f, u64 sid, s32 on_read, s32 on_write)
{
	struct object_info info = {}, *old;
	struct ev_header h = {};
	struct session s = {};
	struct object o = {};

	name_file(&o, f);
	if (o.kind != FD_PIPE)
		return;
	old = bpf_map_lookup_elem(&objects, &o.key);
	if (old && old->to[0].sid && bpf_map_lookup_elem(&sessions, &old->to[0].sid))
		return; /* watched already, or a session's */
	if (!bpf_map_lookup_elem(&sessions, &sid)) {
		s.started = bpf_ktime_get_ns();
		if (on_write == 0)
			s.total[0] = s.dropped[0] = pending(f);
		if (bpf_map_update_elem(&sessions, &sid, &s, BPF_ANY))
			return;
		h.ts = s.started;
		h.sid = sid;
		h.type = EV_UNBORN;
		h.size = sizeof(h);
		emit(0, &h, sizeof(h));
	}
	info.to[0].sid = sid;
	info.to[0].on_read = on_read;
	info.to[0].on_write = on_write;
	bpf_map_update_elem(&objects, &o.key, &info, BPF_ANY);
}

/* A program that hands its own pipes on to a session was started. */
__attribute__((noinline)) int watch_stdio(void)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	u64 sid = new_sid();

	for (u32 fd = 0; fd < KT_STREAMS; fd++) {
		struct file *f = file_of(t, fd);

		if (f)
			watch(f, sid, fd == 0 ? -1 : fd, fd == 0 ? 0 : -1);
	}
	return 0;
}

#define LOGIN_FDS 32

/* sshd has made the pipes of a command and forks the process that will run it. */
__attribute__((noinline)) int watch_pipes(void)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	u64 sid = new_sid();

	for (u32 fd = 3; fd < LOGIN_FDS; fd++) {
		struct file *f = file_of(t, fd);

		if (f && (BPF_CORE_READ(f, f_mode) & FMODE_READ))
			watch(f, sid + fd * (1ULL << 48), -1, 0);
	}
	return 0;
}
#endif
