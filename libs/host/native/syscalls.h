#pragma once
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LONGEST_CONTAINER 256

/* One call of a process inside a container. */
struct call {
	struct seccomp_notif *request;
	/* The caller's /proc directory, its memory, and the descriptor of its filter (-1 where LXC does not send it). */
	int proc, memory, notify;
	/* Of the container, as the host counts. */
	pid_t init;
	char name[LONGEST_CONTAINER];
	/* File that says what may be mounted. */
	char settings[512];
};

/* What the caller gets; the kernel decides where we did not. */
struct result {
	bool decided;
	int error;
	int64_t value;
};

/* The caller as the kernel sees it; ids are the host's. */
struct caller {
	uid_t uid;
	gid_t gid;
	mode_t umask;
	uint64_t capabilities;
	int group_count;
	gid_t groups[64];
};

/* Does what the call asks for if that is allowed, in a process of its own that ends afterwards. */
void emulate(struct call *call, struct result *result);

/* Text of the caller's at an address; false when it is too long or not there. */
bool read_text(const struct call *call, uint64_t address, char *text, size_t size);
bool read_bytes(const struct call *call, uint64_t address, void *bytes, size_t size);
/* Whether the caller still waits for this very call: what was read of it before was its own. */
bool still_waits(const struct call *call);
/* Reads who calls; false unless it is in its container's own user namespace and has the capability there. */
bool read_caller(const struct call *call, struct caller *caller, int capability);
/* Into the caller's mount namespace, root and directory: `directory` is a descriptor of the caller's, or AT_FDCWD. */
bool enter(const struct call *call, int directory);
/* From root to the caller's ids, with these capabilities left. */
bool become(const struct caller *caller, uint64_t capabilities);

void emulate_mount(struct call *call, struct result *result);
void emulate_bpf(struct call *call, struct result *result);
