/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes: where a session begins, who belongs to it, how it ends.
 *
 * The map tasks follows every process of a container and of a session by fork
 * and exit. A process that runs a program inside a container's namespaces and is
 * not in the map did not grow there: it was put there. No list of program names
 * is needed, and a process cannot leave its session by a double fork, setsid or
 * a new name.
 */
#ifndef KT_PROCESS_H
#define KT_PROCESS_H

#define NO_LOGIN 0xffffffff

static __always_inline u32 mntns_of(struct task_struct *t)
{
	return BPF_CORE_READ(t, nsproxy, mnt_ns, ns.inum);
}

static __always_inline u32 pidns_of(struct task_struct *t, u32 *nr)
{
	struct pid *p = BPF_CORE_READ(t, thread_pid);
	u32 level = BPF_CORE_READ(p, level);
	struct upid u = {};
	struct pid_namespace *ns;

	if (level > 32)
		return 0;
	/* numbers[level] is the pid's own namespace */
	bpf_probe_read_kernel(&u.nr, sizeof(u.nr),
			      (void *)__builtin_preserve_access_index(&p->numbers) +
				      level * bpf_core_type_size(struct upid) +
				      bpf_core_field_offset(struct upid, nr));
	bpf_probe_read_kernel(&u.ns, sizeof(u.ns),
			      (void *)__builtin_preserve_access_index(&p->numbers) +
				      level * bpf_core_type_size(struct upid) +
				      bpf_core_field_offset(struct upid, ns));
	*nr = u.nr;
	ns = u.ns;
	return BPF_CORE_READ(ns, ns.inum);
}

static __always_inline void hint(void)
{
	struct ev_header h = {.ts = bpf_ktime_get_ns(), .type = EV_HINT, .size = sizeof(h)};

	emit(0, &h, sizeof(h));
}

static __always_inline u32 append_name(u8 *dst, u32 at, struct kernfs_node *kn)
{
	const char *name = BPF_CORE_READ(kn, name);
	long n;

	if (at > KT_CGROUP - 130)
		return at;
	n = bpf_probe_read_kernel_str(dst + (at & (KT_CGROUP - 1)), 128, name);
	if (n <= 1 || n > 128)
		return at;
	at += n - 1;
	dst[at & (KT_CGROUP - 1)] = '/';
	return at + 1;
}

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *kn)
{
	struct kernfs_node___v615 *n = (void *)kn;

	if (bpf_core_field_exists(n->__parent))
		return BPF_CORE_READ(n, __parent);
	return BPF_CORE_READ(kn, parent);
}

static __always_inline struct cgroup *cgroup_at(struct css_set *set, u32 id)
{
	struct cgroup_subsys_state *css = 0;

	if (id > 15)
		return 0;
	bpf_probe_read_kernel(&css, sizeof(css),
			      (void *)__builtin_preserve_access_index(&set->subsys) + id * 8);
	return css ? BPF_CORE_READ(css, cgroup) : 0;
}

/*
 * The cgroup's path, last name first ("<id>/pod…/kubepods/"): the unified
 * hierarchy's, or where the task is at its root that of a v1 controller which
 * every runtime uses.
 */
__attribute__((noinline)) u32 cgroup_path(void)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	struct scratch_exec *x = exec_buf();
	struct css_set *set = BPF_CORE_READ(t, cgroups);
	struct cgroup *cg = BPF_CORE_READ(set, dfl_cgrp);
	struct kernfs_node *kn = cg ? BPF_CORE_READ(cg, kn) : 0;
	u32 at = 0;

	if (!x)
		return 0;
	if (!kn || !parent_of(kn)) {
		if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
			cg = cgroup_at(set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
		kn = cg ? BPF_CORE_READ(cg, kn) : 0;
		if ((!kn || !parent_of(kn)) &&
		    bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
			cg = cgroup_at(set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
			kn = cg ? BPF_CORE_READ(cg, kn) : 0;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (!kn || !parent_of(kn))
			break;
		at = append_name(x->bytes, at, kn);
		kn = parent_of(kn);
	}
	return at;
}

/* argv behind what dst holds already. */
static __always_inline void read_args(struct task_struct *t, struct scratch_exec *x, u32 at)
{
	u64 start = BPF_CORE_READ(t, mm, arg_start), end = BPF_CORE_READ(t, mm, arg_end);
	u64 n = end - start;

	x->ev.argv_all = n;
	x->ev.argv_len = 0;
	if (end <= start)
		return;
	if (n > KT_ARGS)
		n = KT_ARGS;
	if (at > KT_CGROUP)
		at = 0;
	if (!bpf_probe_read_user(x->bytes + at, n, (void *)start))
		x->ev.argv_len = n;
}

static __always_inline void fill(struct task_struct *t, struct scratch_exec *x, u32 mntns,
				 u32 pidns, u32 nspid)
{
	struct task_struct *p = BPF_CORE_READ(t, real_parent);

	__builtin_memset(&x->ev, 0, sizeof(x->ev));
	x->ev.h.ts = bpf_ktime_get_ns();
	x->ev.pid = BPF_CORE_READ(t, tgid);
	x->ev.ppid = BPF_CORE_READ(p, tgid);
	x->ev.uid = BPF_CORE_READ(t, cred, uid.val);
	x->ev.loginuid = bpf_core_field_exists(t->loginuid) ? BPF_CORE_READ(t, loginuid.val) : NO_LOGIN;
	x->ev.mntns = mntns;
	x->ev.pidns = pidns;
	x->ev.nspid = nspid;
	x->ev.host = mntns == cfg.mntns && pidns == cfg.pidns;
	if (bpf_core_field_exists(t->ioac.wchar))
		x->ev.written = BPF_CORE_READ(t, ioac.wchar) + BPF_CORE_READ(t, signal, ioac.wchar);
	bpf_probe_read_kernel(x->ev.comm, sizeof(x->ev.comm), &t->comm);
	bpf_probe_read_kernel(x->ev.parent, sizeof(x->ev.parent), &p->comm);
}

/* A process of a session runs a program: told to it and to what encloses it. */
__attribute__((noinline)) int tell_exec(u64 sid)
{
	struct scratch_exec *x = exec_buf();

	if (!x)
		return 0;
	for (int i = 0; i < KT_SHARE; i++) {
		struct session *s = sid ? bpf_map_lookup_elem(&sessions, &sid) : 0;
		u32 n = x->ev.argv_len;

		if (!s)
			return 0;
		if (n > KT_ARGS)
			n = KT_ARGS;
		x->ev.h.sid = sid;
		x->ev.h.type = EV_EXEC;
		x->ev.h.size = sizeof(x->ev) + n;
		x->ev.seq = s->seq;
		__sync_fetch_and_add(&s->seq, 1);
		emit(sid, x, sizeof(x->ev) + n);
		sid = s->outer;
	}
	return 0;
}

__attribute__((noinline)) int tell_before(u64 sid, u64 n)
{
	struct scratch_data *d = data_buf();

	if (n == UNKNOWN)
		n = 0;
	else if (!n)
		return 0;
	if (!d)
		return 0;
	for (int i = 0; i < KT_SHARE; i++) {
		d->to[i].sid = 0;
		d->stream[i] = 0;
	}
	d->to[0].sid = sid;
	d->ev.why = UNSEEN_BEFORE;
	d->ev.lflag = d->ev.prev_lflag = d->ev.holder = d->ev.fd = 0;
	d->ev.changed = 0;
	send_data(d, EV_UNSEEN, n, 0);
	return 0;
}

/* The unborn session that watches one of the current process's pipes, or 0. */
__attribute__((noinline)) u64 unborn_here(void)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();

	for (u32 fd = 0; fd < KT_STREAMS; fd++) {
		struct object o = {};
		struct file *f = file_of(t, fd);
		u64 sid;

		if (!f)
			continue;
		name_file(&o, f);
		sid = o.kind == FD_PIPE ? unborn_on(&o) : 0;
		if (sid)
			return sid;
	}
	return 0;
}

static __always_inline u64 open_session(struct task_struct *t, struct scratch_exec *x, u32 kind,
					u64 outer)
{
	struct counters *c = counters();
	struct session s = {}, *kept;
	bool watched;
	u64 sid = 0;
	u32 n, at;

	if (!c)
		return 0;
	sid = unborn_here();
	kept = sid ? bpf_map_lookup_elem(&sessions, &sid) : 0;
	watched = kept != 0;
	if (!kept) {
		sid = new_sid();
		if (bpf_map_update_elem(&sessions, &sid, &s, BPF_ANY)) {
			__sync_fetch_and_add(&c->sessions_full, 1);
			return 0;
		}
		kept = bpf_map_lookup_elem(&sessions, &sid);
		if (!kept)
			return 0;
	}
	/*
	 * In place: another processor may be counting what the holder writes to a
	 * pipe that was watched before. What it counts must not be written over.
	 */
	kept->outer = outer;
	kept->started = x->ev.h.ts;
	kept->first = x->ev.pid;
	kept->live = 1;
	kept->mntns = x->ev.mntns;
	kept->kind = kind;
	join_fds(sid);
	if (kind == ENTER_FIRST && x->ev.fds[0] != FD_TTY && x->ev.fds[0] != FD_PIPE &&
	    x->ev.fds[0] != FD_SOCKET) {
		/* A service: nothing to attach to. User space still learns of the container. */
		bpf_map_delete_elem(&sessions, &sid);
		sid = 0;
	}
	at = cgroup_path();
	if (at > KT_CGROUP)
		at = KT_CGROUP;
	x->ev.cgroup_len = at;
	read_args(t, x, at);
	x->ev.kind = kind | (x->shares ? ENTER_SHARES : 0);
	x->ev.outer = outer;
	x->ev.h.sid = sid;
	x->ev.h.type = EV_ENTER;
	n = at + x->ev.argv_len;
	if (n > KT_CGROUP + KT_ARGS)
		n = KT_CGROUP + KT_ARGS;
	x->ev.h.size = sizeof(x->ev) + n;
	if (sid)
		bpf_map_update_elem(&starts, &sid, x, BPF_ANY);
	emit(0, x, sizeof(x->ev) + n);
	if (sid && !watched)
		tell_before(sid, x->before);
	return sid;
}

/* The open session of a process, or 0. */
static __always_inline u64 session_of(struct task_info *info)
{
	u64 sid = info->sid;

	if (sid && !bpf_map_lookup_elem(&sessions, &sid)) {
		sid = info->outer;
		if (sid && !bpf_map_lookup_elem(&sessions, &sid))
			sid = 0;
		info->sid = sid;
		info->outer = 0;
	}
	return sid;
}

static __always_inline void follow(u32 tgid, u64 sid, u64 outer, u32 mntns, u32 pidns, u32 flags)
{
	struct task_info t = {.sid = sid, .outer = outer, .mntns = mntns, .pidns = pidns, .flags = flags};
	struct counters *c = counters();

	if (bpf_map_update_elem(&tasks, &tgid, &t, BPF_ANY) && c)
		__sync_fetch_and_add(&c->tasks_full, 1);
}

static __always_inline bool known_container(u32 mntns, u32 pidns)
{
	if (mntns != cfg.mntns)
		return bpf_map_lookup_elem(&containers, &mntns) != 0;
	return pidns != cfg.pidns && bpf_map_lookup_elem(&containers, &pidns) != 0;
}

static __always_inline void new_container(u32 tgid, u32 mntns, u32 pidns)
{
	struct container_info c = {.first = tgid, .other = pidns};

	if (mntns != cfg.mntns)
		bpf_map_update_elem(&containers, &mntns, &c, BPF_ANY);
	c.other = mntns;
	if (pidns != cfg.pidns)
		bpf_map_update_elem(&containers, &pidns, &c, BPF_NOEXIST);
}

static __always_inline bool is_first(u32 tgid, u64 sid)
{
	struct session *s = sid ? bpf_map_lookup_elem(&sessions, &sid) : 0;

	return s && s->first == tgid;
}

/*
 * How a process of the node itself begins a session, or 0. Inside another one
 * only an sshd's child does: other terminals there (sudo, tmux, script) show what
 * the outer one shows.
 */
static __always_inline u32 login_kind(struct task_struct *t, bool inside)
{
	struct tty_struct *tty = BPF_CORE_READ(t, signal, tty);
	bool master, login;

	if (!BPF_CORE_READ(t, signal, leader))
		return 0;
	login = is_login(BPF_CORE_READ(t, real_parent)) && !is_login(t);
	if (inside && !login)
		return 0;
	if (!tty)
		return login ? ENTER_COMMAND : 0;
	if (!is_pty(BPF_CORE_READ(tty, driver), &master))
		return 0;
	return ENTER_LOGIN;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *t, int old_pid, struct linux_binprm *bprm)
{
	u32 tgid = t->tgid, nspid = 0, mntns, pidns, kind = 0;
	struct task_info *info = bpf_map_lookup_elem(&tasks, &tgid);
	struct scratch_exec *x = exec_buf();
	u64 sid = 0, outer = 0;
	bool host;

	if (!x)
		return 0;
	mntns = mntns_of(t);
	pidns = pidns_of(t, &nspid);
	host = mntns == cfg.mntns && pidns == cfg.pidns;
	if (is_starter(t))
		hint();
	if (host && is_carrier(t))
		watch_stdio();

	if (info) {
		bool moved = mntns != info->mntns || pidns != info->pidns;

		sid = outer = session_of(info);
		if (moved && !host)
			kind = known_container(mntns, pidns) ? ENTER_EXEC : ENTER_FIRST;
		/* A shell's own namespaces are no container: that has a pid 1 of its own. */
		if (kind == ENTER_FIRST && sid && nspid != 1)
			kind = 0;
	} else if (!host) {
		kind = known_container(mntns, pidns) ? ENTER_EXEC : ENTER_FIRST;
	}
	if (host && !kind && !is_first(tgid, sid))
		kind = login_kind(t, sid != 0);
	if (!kind && !sid)
		return 0;

	fill(t, x, mntns, pidns, nspid);
	if (sid) { /* told to the session that it is part of, before one that begins here */
		read_args(t, x, 0);
		tell_exec(sid);
		info->flags |= TASK_EXECED;
	}
	if (!kind)
		return 0;
	if (kind == ENTER_FIRST)
		new_container(tgid, mntns, pidns);
	sid = open_session(t, x, kind, outer);
	if (sid && outer) {
		struct session *o = bpf_map_lookup_elem(&sessions, &outer);

		if (o)
			__sync_fetch_and_add(&o->live, -1);
	}
	if (!sid)
		sid = outer;
	if (sid || !host)
		follow(tgid, sid, sid == outer ? 0 : outer, mntns, pidns,
		       TASK_EXECED | (kind == ENTER_FIRST ? TASK_FIRST : 0));
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 ptgid = parent->tgid, tgid = child->tgid, nr = 0;
	struct task_info *info;

	if (child->pid != tgid) /* a thread */
		return 0;
	if (bpf_map_lookup_elem(&holders, &ptgid))
		hint();
	/* Anybody can take sshd's name; only root's in the node's namespaces counts. */
	if (is_login(parent) && !BPF_CORE_READ(parent, cred, uid.val) &&
	    mntns_of(parent) == cfg.mntns && pidns_of(parent, &nr) == cfg.pidns)
		watch_pipes();
	info = bpf_map_lookup_elem(&tasks, &ptgid);
	if (!info) {
		bpf_map_delete_elem(&tasks, &tgid); /* of an earlier process of that number */
		return 0;
	}
	if (session_of(info)) {
		u64 sid = info->sid;
		struct session *s = bpf_map_lookup_elem(&sessions, &sid);

		if (s)
			__sync_fetch_and_add(&s->live, 1);
	} else if (info->mntns == cfg.mntns && info->pidns == cfg.pidns) {
		return 0; /* what a login left behind is nobody's any more */
	}
	follow(tgid, info->sid, info->outer, info->mntns, info->pidns, 0);
	return 0;
}

static __always_inline void forget_container(u32 key, u32 tgid)
{
	struct container_info *c = bpf_map_lookup_elem(&containers, &key);

	if (c && c->first == tgid)
		bpf_map_delete_elem(&containers, &key);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *t)
{
	u32 tgid = t->tgid;
	struct task_info *info;
	struct ev_exit ev = {};
	struct session *s;
	u64 sid;
	u32 flags;

	if (BPF_CORE_READ(t, signal, live.counter) != 0) /* threads are left */
		return 0;
	bpf_map_delete_elem(&holders, &tgid);
	info = bpf_map_lookup_elem(&tasks, &tgid);
	if (!info)
		return 0;
	sid = session_of(info);
	flags = info->flags;
	if (flags & TASK_FIRST) {
		forget_container(info->mntns, tgid);
		forget_container(info->pidns, tgid);
	}
	if (bpf_map_delete_elem(&tasks, &tgid) || !sid)
		return 0; /* two last threads on two processors: once is enough */
	ev.h.ts = bpf_ktime_get_ns();
	ev.h.type = EV_EXIT;
	ev.h.size = sizeof(ev);
	ev.pid = tgid;
	ev.code = BPF_CORE_READ(t, signal, group_exit_code);
	if (!ev.code)
		ev.code = t->exit_code;
	for (int i = 0; i < KT_SHARE; i++) {
		s = sid ? bpf_map_lookup_elem(&sessions, &sid) : 0;
		if (!s)
			return 0;
		ev.first = s->first == tgid;
		if (i == 0)
			__sync_fetch_and_add(&s->live, -1);
		if (ev.first) {
			s->code = ev.code;
			s->exited = 1;
		}
		if (ev.first || (flags & TASK_EXECED)) {
			ev.h.sid = sid;
			ev.seq = s->seq;
			__sync_fetch_and_add(&s->seq, 1);
			/* The first process's end is worth more than a share of the ring. */
			emit(ev.first ? 0 : sid, &ev, sizeof(ev));
		}
		sid = s->outer;
	}
	return 0;
}
#endif
