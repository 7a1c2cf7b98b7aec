/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writing to the ring. No session may take what another needs: above half full
 * only sessions that hold less than their share get in. What does not get in is
 * counted by the caller.
 */
#ifndef KT_EMIT_H
#define KT_EMIT_H

/* User space computes the same (internal/probe, slotOf). */
static __always_inline u32 slot_of(u64 sid)
{
	return (sid * 0x9e3779b97f4a7c15ULL) >> (64 - KT_SLOT_BITS);
}

static __always_inline bool emit(u64 sid, void *ev, u64 size)
{
	u32 i = slot_of(sid);
	struct slot *s = bpf_map_lookup_elem(&slots, &i);
	struct counters *c = counters();

	if (!s || !c)
		return false;
	/* Signed: the recorder can have read a record that is not counted yet. */
	if (sid && bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > cfg.ring_bytes / 2 &&
	    (s64)(*(volatile u64 *)&s->submitted - *(volatile u64 *)&s->consumed) > (s64)cfg.fair_bytes)
		goto drop;
	if (bpf_ringbuf_output(&events, ev, size, 0))
		goto drop;
	__sync_fetch_and_add(&s->submitted, size);
	return true;
drop:
	__sync_fetch_and_add(&c->ring_drops, 1);
	return false;
}
#endif
