/*
 * The system calls that are left to the server once it has its root. Whoever finds an error in it and runs code of theirs can work on the
 * container's files, which they could do anyway, and ask the kernel for little else: no sockets, no programs, no other process's memory, no mounts,
 * no namespaces. A process that serves a connection may in addition start nothing, end nobody and accept no one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../process/filter.h"
#include "roost-files.h"

static const int always[] = {
	/* Files, by descriptors of the root. */
	SYS_openat2, SYS_openat, SYS_close, SYS_close_range, SYS_read, SYS_write, SYS_pread64, SYS_pwrite64, SYS_sendfile, SYS_lseek, SYS_fsync, SYS_ftruncate,
	SYS_fstat, SYS_newfstatat, SYS_statx, SYS_fstatfs, SYS_getdents64, SYS_readlinkat, SYS_fchmodat, SYS_fchownat, SYS_utimensat, SYS_unlinkat, SYS_mkdirat,
	SYS_symlinkat, SYS_linkat, SYS_renameat, SYS_renameat2, SYS_fcntl,
	/* What the C library needs for memory, time, its locks and its end. */
	SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_futex, SYS_getrandom, SYS_clock_gettime, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_restart_syscall,
	SYS_set_robust_list, SYS_rseq, SYS_getpid, SYS_gettid, SYS_exit, SYS_exit_group,
};

/* Of the process that waits for connections. */
static const int listening[] = {
	SYS_accept4, SYS_ppoll, SYS_wait4, SYS_kill, SYS_dup3,
#ifdef SYS_poll
	SYS_poll, SYS_dup2,
#endif
	/* For the filter of the next process. */
	SYS_seccomp,
};

#define MOST_STEPS 192
/* The lower half of one, which is where flags are. */
#define ARGUMENT(index) (offsetof(struct seccomp_data, args) + (index) * sizeof(uint64_t))

struct program {
	struct sock_filter steps[MOST_STEPS];
	unsigned short length;
};

static void add(struct program *program, struct sock_filter step)
{
	/* The lists are constants: one that is too long never got as far as a release. */
	if (program->length == MOST_STEPS)
		_exit(1);
	program->steps[program->length++] = step;
}

static void allow(struct program *program, int number)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

/* Allowed only when none of these bits is in an argument. */
static void allow_without(struct program *program, int number, int argument, unsigned bits)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4));
	add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(argument)));
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 1, 0));
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
}

/* What is not allowed is not there, which C libraries have an answer to. Calls of another architecture are nobody's mistake. */
static void confine(bool listens)
{
	struct program program = {.length = 0};
	struct sock_fprog filter = {.filter = program.steps};

	add(&program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
	add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
	add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
	add(&program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		allow(&program, always[i]);
	if (listens) {
		for (size_t i = 0; i < sizeof(listening) / sizeof(listening[0]); i++)
			allow(&program, listening[i]);
		/* Processes like this one; clone3, whose flags lie in memory, is never allowed. */
		allow_without(&program, SYS_clone, 0, NAMESPACES);
	}
	allow_without(&program, SYS_mmap, 2, PROT_EXEC);
	add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
	filter.len = program.length;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
		fail("Cannot confine the file server");
}

void confine_listener(void) { confine(true); }

void confine_connection(void) { confine(false); }
