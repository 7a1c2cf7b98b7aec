/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef KT_MAPS_H
#define KT_MAPS_H

/* Set by the loader before load. */
const volatile struct config cfg = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 25); /* resized by the loader */
} events SEC(".maps");

/* Open sessions by number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KT_SLOTS);
	__type(key, u64);
	__type(value, struct session);
} sessions SEC(".maps");

/* Terminals, pipes and sockets that belong to sessions. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 3 * KT_SLOTS);
	__type(key, struct object_key);
	__type(value, struct object_info);
} objects SEC(".maps");

/* Processes of sessions and of containers, by tgid. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, struct task_info);
} tasks SEC(".maps");

/* Mount and pid namespaces of containers, by inode number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u32);
	__type(value, struct container_info);
} containers SEC(".maps");

/* Processes whose children are about to start a session (shims). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u32);
	__type(value, u32);
} holders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, KT_SLOTS);
	__type(key, u32);
	__type(value, struct slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counters);
} counts SEC(".maps");

struct scratch_data {
	struct ev_data ev;
	u8 bytes[KT_CHUNK];
	/* what the current call stands for */
	struct endpoint to[KT_SHARE];
	s32 stream[KT_SHARE];
};
struct scratch_exec {
	struct ev_exec ev;
	/* cgroup path and argv, each up to its own limit, one after the other */
	u8 bytes[KT_CGROUP + KT_ARGS + 256];
	u32 shares; /* a stream of the session is another one's too */
	u32 pad;
	u64 before; /* bytes that lay in the stdin pipe, or UNKNOWN */
};

/*
 * How open sessions began: the beginning of what EV_ENTER told, for a recorder
 * that did not get to read it.
 */
struct start {
	struct ev_exec ev;
	u8 bytes[KT_START];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KT_SLOTS);
	__type(key, u64);
	__type(value, struct start);
} starts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch_data);
} data_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch_exec);
} exec_scratch SEC(".maps");

static __always_inline struct counters *counters(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&counts, &zero);
}

static __always_inline struct scratch_exec *exec_buf(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&exec_scratch, &zero);
}
#endif
