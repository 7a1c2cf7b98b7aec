//go:build ignore
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One object: the loader takes out the programs of the flavours it does not use. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "event.h"
#include "maps.bpf.h"
#include "emit.bpf.h"
#include "object.bpf.h"
#include "stream.bpf.h"
#include "name.bpf.h"
#include "join.bpf.h"
#include "process.bpf.h"
#include "syscall.bpf.h"

/* Never used: keeps the layouts in the object's BTF for the Go side. */
const struct {
	struct ev_header header;
	struct ev_exit exit;
	struct ev_resize resize;
} layouts __attribute__((unused)) = {};

char _license[] SEC("license") = "Dual BSD/GPL";
