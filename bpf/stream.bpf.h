/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes of a stream into the ring: the body that all hook flavours share.
 *
 * A hook calls begin() with the object it saw and the direction, then
 * record_user() for each piece of memory. Totals are counted whether or not the
 * ring takes the bytes, and every record carries the total before it: what is
 * missing between two records is known to the byte.
 */
#ifndef KT_STREAM_H
#define KT_STREAM_H

#define MAX_CHUNKS 64 /* of one call: 1 MiB, the most a pipe holds by default */

static __always_inline struct scratch_data *data_buf(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&data_scratch, &zero);
}

/* Whether a process is of the session itself, or of the same container. */
static __always_inline bool is_inside(struct task_info *t, u64 sid)
{
	struct session *s;

	if (!t)
		return false;
	if (t->sid == sid)
		return true;
	s = bpf_map_lookup_elem(&sessions, &sid);
	return s && s->kind && s->mntns == t->mntns && t->mntns != cfg.mntns;
}

/*
 * Finds out for whom the current call counts. A process of the session itself
 * is not the other end: a container that reads its own stdout pipe back must not
 * look like output that somebody saw.
 */
static __always_inline struct scratch_data *begin(struct object *o, bool write, u32 tgid, u32 fd)
{
	struct object_info *info = bpf_map_lookup_elem(&objects, &o->key);
	struct task_info *t;
	struct scratch_data *d;
	bool any = false;

	if (!info)
		return 0;
	d = data_buf();
	if (!d)
		return 0;
	t = bpf_map_lookup_elem(&tasks, &tgid);
#pragma unroll
	for (int i = 0; i < KT_SHARE; i++) {
		u64 sid = info->to[i].sid;
		s32 stream = write ? info->to[i].on_write : info->to[i].on_read;

		if (!sid || stream < 0 || is_inside(t, sid))
			sid = 0;
		d->to[i].sid = sid;
		d->stream[i] = stream;
		any |= sid != 0;
	}
	if (!any)
		return 0;
	d->ev.holder = tgid;
	d->ev.fd = fd;
	d->ev.lflag = o->slave ? lflag_of(o->slave) : 0;
	d->ev.prev_lflag = info->prev_lflag;
	d->ev.changed = info->changed;
	return d;
}

/* Sends d->ev with size bytes behind it to every session of the call. */
static __always_inline void send_data(struct scratch_data *d, u32 type, u64 len, u32 size)
{
	d->ev.h.ts = bpf_ktime_get_ns();
	d->ev.h.type = type;
	d->ev.h.size = sizeof(d->ev) + size;
	d->ev.len = len;
	for (int i = 0; i < KT_SHARE; i++) {
		u64 sid = d->to[i].sid;
		u32 stream = d->stream[i];
		struct session *s;

		if (!sid || stream >= KT_STREAMS)
			continue;
		s = bpf_map_lookup_elem(&sessions, &sid);
		if (!s)
			continue;
		d->ev.h.sid = sid;
		d->ev.stream = stream;
		d->ev.off = s->total[stream];
		s->holder[stream] = (u64)d->ev.holder << 32 | d->ev.fd;
		if (type == EV_EOF)
			s->eof |= 1 << stream;
		else
			s->eof &= ~(1 << stream);
		if (len)
			__sync_fetch_and_add(&s->total[stream], len);
		if (!emit(sid, d, sizeof(d->ev) + size) && len)
			__sync_fetch_and_add(&s->dropped[stream], len);
	}
}

/* One piece of at most KT_CHUNK bytes. Verified on its own: a global function. */
__attribute__((noinline)) int record_chunk(u64 addr, u32 n)
{
	struct scratch_data *d = data_buf();

	if (!d || !n)
		return 0;
	if (n > KT_CHUNK)
		n = KT_CHUNK;
	d->ev.why = 0;
	if (bpf_probe_read_user(d->bytes, n, (void *)addr)) {
		d->ev.why = UNSEEN_FAULT;
		send_data(d, EV_UNSEEN, n, 0);
		return 0;
	}
	send_data(d, EV_DATA, n, n);
	return 0;
}

__attribute__((noinline)) int record_unseen(u64 n, u32 why)
{
	struct scratch_data *d = data_buf();

	if (!d || !n)
		return 0;
	d->ev.why = why;
	send_data(d, EV_UNSEEN, n, 0);
	return 0;
}

__attribute__((noinline)) int record_eof(void)
{
	struct scratch_data *d = data_buf();

	if (!d)
		return 0;
	d->ev.why = 0;
	send_data(d, EV_EOF, 0, 0);
	return 0;
}

__attribute__((noinline)) int record_user(u64 addr, u64 n)
{
	for (int i = 0; i < MAX_CHUNKS; i++) {
		u64 part = n;

		if (!n)
			return 0;
		if (part > KT_CHUNK)
			part = KT_CHUNK;
		record_chunk(addr, part);
		addr += part;
		n -= part;
	}
	record_unseen(n, UNSEEN_LARGE);
	return 0;
}

struct iovec_user {
	u64 base;
	u64 len;
};
#define MAX_IOV 64

/* The first n bytes of an array of buffers. */
__attribute__((noinline)) int record_iov(u64 iov, u64 count, u64 n)
{
	for (int i = 0; i < MAX_IOV; i++) {
		struct iovec_user v = {};

		if (!n || i >= count)
			return 0;
		if (bpf_probe_read_user(&v, sizeof(v), (void *)(iov + i * sizeof(v)))) {
			record_unseen(n, UNSEEN_FAULT);
			return 0;
		}
		if (v.len > n)
			v.len = n;
		record_user(v.base, v.len);
		n -= v.len;
	}
	record_unseen(n, UNSEEN_LARGE);
	return 0;
}

static __always_inline void record_resize(struct object *o)
{
	struct object_info *info = bpf_map_lookup_elem(&objects, &o->key);
	struct tty_struct *slave = o->slave;
	struct ev_resize ev = {};

	if (!info)
		return;
	ev.h.ts = bpf_ktime_get_ns();
	ev.h.type = EV_RESIZE;
	ev.h.size = sizeof(ev);
	ev.rows = BPF_CORE_READ(slave, winsize.ws_row);
	ev.cols = BPF_CORE_READ(slave, winsize.ws_col);
	for (int i = 0; i < KT_SHARE; i++) {
		u64 sid = info->to[i].sid;
		struct session *s = sid ? bpf_map_lookup_elem(&sessions, &sid) : 0;

		if (!s)
			continue;
		ev.h.sid = sid;
		ev.seq = s->seq;
		__sync_fetch_and_add(&s->seq, 1);
		emit(sid, &ev, sizeof(ev));
	}
}

/* The terminal's flags may have changed: remember what they were. */
static __always_inline void note_termios(struct object *o)
{
	struct object_info *info = bpf_map_lookup_elem(&objects, &o->key);
	u32 now;

	if (!info)
		return;
	now = lflag_of(o->slave);
	if (now == info->lflag)
		return;
	info->prev_lflag = info->lflag;
	info->lflag = now;
	info->changed = bpf_ktime_get_ns();
}
#endif
