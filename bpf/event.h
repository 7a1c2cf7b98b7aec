/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side tells the recorder: one record of the ring is one struct
 * event, or a header followed by variable bytes. internal/probe mirrors these
 * layouts; a test compares both with the object's BTF.
 */
#ifndef KT_EVENT_H
#define KT_EVENT_H

#define KT_STREAMS 3   /* stdin, stdout, stderr */
#define KT_CHUNK 16384 /* most bytes of one data record */
#define KT_ARGS 16384  /* most bytes of argv in one record; the rest is counted */
#define KT_START 640   /* bytes of cgroup path and argv that are kept for a successor */
#define KT_CGROUP 512  /* most bytes of a cgroup path */
#define KT_SLOT_BITS 12
#define KT_SLOTS (1 << KT_SLOT_BITS) /* of the table that holds how much of the ring a session fills */

enum event_type {
	EV_DATA = 1,	/* bytes of a stream: struct ev_data + bytes */
	EV_UNSEEN = 2,	/* bytes passed that cannot be read: struct ev_data, no bytes */
	EV_EOF = 3,	/* the holder of the other end has read to the end: struct ev_data */
	EV_ENTER = 4,	/* a session begins: struct ev_exec + cgroup + argv */
	EV_EXEC = 5,	/* a process inside a session: struct ev_exec + argv */
	EV_EXIT = 6,	/* such a process, or the first one, ended: struct ev_exit */
	EV_RESIZE = 7,	/* struct ev_resize */
	EV_HINT = 8,	/* something is about to start a session: only the header */
	EV_UNBORN = 9,	/* a pipe that may become a session's stdin is watched: only the header */
};

enum enter_kind {
	ENTER_EXEC = 1,	 /* put into a container that runs already */
	ENTER_FIRST = 2, /* first process of a mount namespace not seen before */
	ENTER_LOGIN = 3, /* session leader on a pseudo-terminal of the node */
	ENTER_COMMAND = 4, /* login without a terminal */
	ENTER_SHARES = 0x100, /* added: its terminal is another session's too */
};

enum fd_kind {
	FD_NONE = 0,
	FD_TTY = 1,
	FD_PIPE = 2,
	FD_SOCKET = 3,
	FD_NULL = 4,
	FD_FILE = 5,
};

enum unseen_why {
	UNSEEN_FAULT = 1,  /* the holder's memory could not be read */
	UNSEEN_MOVED = 2,  /* moved inside the kernel (splice, sendfile, recvmsg) */
	UNSEEN_BEFORE = 3, /* was in the pipe before the session's first process ran */
	UNSEEN_LARGE = 4,  /* beyond what one call may record */
};

struct ev_header {
	u64 ts;	 /* ns, CLOCK_MONOTONIC */
	u64 sid; /* number of the session, 0: none */
	u32 type;
	u32 size; /* of the whole record */
};

struct ev_data {
	struct ev_header h;
	u64 off;	/* bytes of this stream before this record */
	u64 len;	/* bytes that this record stands for */
	u64 changed;	/* ts of the last change of the terminal's flags, 0: none seen */
	u32 stream;	/* 0 stdin, 1 stdout, 2 stderr */
	u32 why;	/* enum unseen_why */
	u32 lflag;	/* c_lflag of the slave now */
	u32 prev_lflag; /* and before the last change */
	u32 holder;	/* process that read or wrote */
	u32 fd;		/* its file descriptor */
};

struct ev_exec {
	struct ev_header h;
	u64 seq;      /* number of this session's process and size events */
	u64 outer;    /* session that this one began in, 0: none */
	u64 argv_all; /* bytes of argv */
	u64 written;  /* bytes that the process had written by then, to anything */
	u32 argv_len; /* of which are in this record */
	u32 cgroup_len;
	u32 kind; /* enum enter_kind, 0 in EV_EXEC; with ENTER_SHARES */
	u32 pid;
	u32 ppid;
	u32 uid;
	u32 loginuid; /* 0xffffffff: not set */
	u32 mntns;
	u32 pidns;
	u32 nspid; /* pid in its own namespace */
	u16 rows;
	u16 cols;
	u8 fds[KT_STREAMS]; /* enum fd_kind */
	u8 host;	    /* 1: in the node's own namespaces */
	u32 lflag;
	u32 tty_index;
	char comm[16];
	char parent[16];
};

struct ev_exit {
	struct ev_header h;
	u64 seq;
	u32 pid;
	u32 code; /* as of wait(2) */
	u32 first; /* 1: the session's first process */
	u32 pad;
};

struct ev_resize {
	struct ev_header h;
	u64 seq;
	u16 rows;
	u16 cols;
	u32 pad;
};

/* Kept in the map sessions. */
struct session {
	u64 total[KT_STREAMS];	 /* bytes that passed */
	u64 dropped[KT_STREAMS]; /* of which did not fit into the ring */
	u64 seq;		 /* process and size events so far */
	u64 outer;
	u64 started;
	u32 first; /* process id */
	u32 kind; /* enum enter_kind, 0: not born yet */
	u32 exited;
	u32 code;
	u64 live; /* processes inside */
	u32 mntns;
	u32 ending; /* set by user space: its recording is being closed */
	u32 put_out; /* a stream of it was given to another session */
	u32 eof;     /* bit of each stream that was read to its end */
	u64 holder[KT_STREAMS]; /* process and descriptor at the other end */
};

/* Kept in the map slots, which user space shares by mmap. */
struct slot {
	u64 submitted; /* written by the kernel */
	u64 consumed;  /* written by the recorder */
};

struct counters {
	u64 ring_drops;	 /* records that did not fit */
	u64 tasks_full;	 /* processes that could not be followed */
	u64 sessions_full;
	u64 streams_full;
};

struct task_info {
	u64 sid;
	u64 outer; /* what it belongs to when sid is over or was none */
	u32 mntns; /* where this line of processes is at home */
	u32 pidns;
	u32 flags;
	u32 pad;
};
#define TASK_EXECED 1 /* its exit is told */
#define TASK_FIRST 2  /* first process of a container: its exit ends the container */

struct object_key {
	u64 obj;
	u64 uniq;
};

#define KT_SHARE 4 /* sessions that can have one terminal or pipe in common */
struct endpoint {
	u64 sid;
	s32 on_read;  /* stream that a read of the other end stands for, -1: none */
	s32 on_write;
};
struct object_info {
	struct endpoint to[KT_SHARE];
	u64 changed;
	u32 lflag;
	u32 prev_lflag;
};

struct container_info {
	u32 first;
	u32 other; /* the container's other key */
};

/* A name of a program as two words; mask covers the bytes that count. */
struct name {
	u64 text[2];
	u64 mask[2]; /* 0: matches nothing */
};

struct config {
	u64 ring_bytes;
	u64 fair_bytes; /* in a ring more than half full a session may hold this much */
	u32 mntns;	/* the node's own */
	u32 pidns;
	struct name logins[4];	  /* parents of logins without a terminal */
	struct name starters[16]; /* programs that are about to start a session */
	struct name carriers[8];  /* of which those that hand their own pipes on to it */
};
#endif
