/*
 * The system calls a confined program does not have. Restoring files takes capabilities that reach beyond files, of mounts and devices above all; nothing that
 * works on files needs these calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/btrfs.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/filter.h"
#include "roost-helper.h"

static const int refused[] = {
	/* Another view of this host. */
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree, SYS_mount_setattr, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
	SYS_setns, SYS_unshare, SYS_name_to_handle_at, SYS_open_by_handle_at,
	/* Other processes, and the kernel. */
	SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter,
	SYS_io_uring_register, SYS_fanotify_init, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
	SYS_kexec_file_load, SYS_syslog,
	/* What administrators do. */
	SYS_quotactl, SYS_swapon, SYS_swapoff, SYS_acct, SYS_reboot, SYS_sethostname, SYS_setdomainname,
};

/* What receiving a subvolume takes: making and describing those of the directory. */
static const unsigned long subvolume_requests[] = {
	BTRFS_IOC_SUBVOL_CREATE, BTRFS_IOC_SUBVOL_CREATE_V2, BTRFS_IOC_SNAP_CREATE_V2, BTRFS_IOC_SUBVOL_GETFLAGS, BTRFS_IOC_SUBVOL_SETFLAGS,
	BTRFS_IOC_SET_RECEIVED_SUBVOL, BTRFS_IOC_GET_SUBVOL_INFO, BTRFS_IOC_INO_LOOKUP, BTRFS_IOC_TREE_SEARCH, BTRFS_IOC_FS_INFO, BTRFS_IOC_CLONE_RANGE,
};

#define REQUESTS (sizeof(subvolume_requests) / sizeof(subvolume_requests[0]))
#define REFUSED (sizeof(refused) / sizeof(refused[0]))
/* Calls of the other ABI of x86-64 have this bit. */
#define OTHER_ABI 0x40000000

/* The next one is only for this call. */
#define ONLY_FOR(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1)
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field)

/* Returns how many steps that are: what the request is decides, and everything else goes on behind them. */
static size_t allow_requests(struct sock_filter *steps)
{
	size_t count = 0;

	steps[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 2 * REQUESTS + 2);
	steps[count++] = (struct sock_filter)LOAD(offsetof(struct seccomp_data, args) + sizeof(uint64_t));
	for (size_t i = 0; i < REQUESTS; i++) {
		steps[count++] = (struct sock_filter)ONLY_FOR((uint32_t)subvolume_requests[i]);
		steps[count++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
	}
	steps[count++] = (struct sock_filter)ANSWER(SECCOMP_RET_ERRNO | ENOTTY);
	return count;
}

void refuse_system_calls(bool subvolumes)
{
	static const struct sock_filter first[] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
		ANSWER(SECCOMP_RET_KILL_PROCESS),
		LOAD(offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, OTHER_ABI, 0, 1),
		ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
		/* Its flags lie in memory; C libraries do without. */
		ONLY_FOR(SYS_clone3),
		ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
	};
	/* Of file systems and devices; a terminal is none. */
	static const struct sock_filter no_requests[] = {ONLY_FOR(SYS_ioctl), ANSWER(SECCOMP_RET_ERRNO | ENOTTY)};
	static const struct sock_filter last[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
		LOAD(offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1),
		ANSWER(SECCOMP_RET_ERRNO | EPERM),
		ANSWER(SECCOMP_RET_ALLOW),
	};
	enum { FIRST = sizeof(first) / sizeof(first[0]), LAST = sizeof(last) / sizeof(last[0]) };
	struct sock_filter steps[FIRST + 2 * REQUESTS + 3 + 2 * REFUSED + LAST];
	struct sock_fprog filter = {.filter = steps};
	size_t count = 0;

	for (size_t i = 0; i < FIRST; i++)
		steps[count++] = first[i];
	if (subvolumes)
		count += allow_requests(steps + count);
	else
		for (size_t i = 0; i < sizeof(no_requests) / sizeof(no_requests[0]); i++)
			steps[count++] = no_requests[i];
	for (size_t i = 0; i < REFUSED; i++) {
		steps[count++] = (struct sock_filter)ONLY_FOR(refused[i]);
		steps[count++] = (struct sock_filter)ANSWER(SECCOMP_RET_ERRNO | EPERM);
	}
	for (size_t i = 0; i < LAST; i++)
		steps[count++] = last[i];
	filter.len = count;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
		fail("Cannot refuse system calls");
}
