/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of programs, as hints and for logins. Anybody can take a name. */
#ifndef KT_NAME_H
#define KT_NAME_H

struct comm {
	u64 text[2];
};

static __always_inline struct comm comm_of(struct task_struct *t)
{
	struct comm c = {};

	bpf_probe_read_kernel(&c, sizeof(c), __builtin_preserve_access_index(&t->comm));
	return c;
}

/* Without branches: the verifier walks a loop of branches 2^n times. */
static __always_inline bool match(const struct comm *c, const volatile struct name *names, int n)
{
	u64 hit = 0;

	for (int i = 0; i < n; i++) {
		u64 diff = ((c->text[0] ^ names[i].text[0]) & names[i].mask[0]) |
			   ((c->text[1] ^ names[i].text[1]) & names[i].mask[1]);
		u64 zero = (diff | -diff) >> 63; /* 0 if equal, else 1 */

		hit |= (zero ^ 1) & (names[i].mask[0] & 1);
	}
	return hit;
}

static __always_inline bool is_login(struct task_struct *t)
{
	struct comm c = comm_of(t);

	return match(&c, cfg.logins, 4);
}

static __always_inline bool is_starter(struct task_struct *t)
{
	struct comm c = comm_of(t);

	return match(&c, cfg.starters, 16);
}

static __always_inline bool is_carrier(struct task_struct *t)
{
	struct comm c = comm_of(t);

	return match(&c, cfg.carriers, 8);
}
#endif
