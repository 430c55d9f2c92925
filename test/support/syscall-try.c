/*
 * Calls that root inside a container may not make; prints the name of what comes of each. Linked statically, for the test images have no C library.
 *   syscall-try mknod PATH c|b MAJOR MINOR    then opens it
 *   syscall-try setxattr PATH NAME VALUE
 *   syscall-try scheduler PID                 round robin, then what the kernel says it is
 *   syscall-try mount SOURCE TARGET TYPE [DATA]
 *   syscall-try bpf CGROUP                    a program on devices: load, attach, detach
 *   syscall-try in-userns ...                 the same from a user namespace of its own
 *   syscall-try as-user ...                   the same as user 1000
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static int report(const char *what, long result)
{
	printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
	return result < 0;
}

static int try_bpf(const char *cgroup)
{
	/* r0 = 1; exit: every device. */
	struct bpf_insn instructions[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1}, {.code = BPF_JMP | BPF_EXIT}};
	union bpf_attr attributes;
	int program, directory = open(cgroup, O_RDONLY | O_DIRECTORY);

	memset(&attributes, 0, sizeof(attributes));
	attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attributes.insn_cnt = 2;
	attributes.insns = (unsigned long)instructions;
	attributes.license = (unsigned long)"GPL";
	program = syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
	if (report("load", program))
		return 1;
	memset(&attributes, 0, sizeof(attributes));
	attributes.target_fd = directory;
	attributes.attach_bpf_fd = program;
	attributes.attach_type = BPF_CGROUP_DEVICE;
	attributes.attach_flags = BPF_F_ALLOW_MULTI;
	return report("attach", syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof(attributes))) |
	       report("detach", syscall(SYS_bpf, BPF_PROG_DETACH, &attributes, sizeof(attributes)));
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "in-userns") == 0) {
		if (unshare(CLONE_NEWUSER) < 0)
			return report("unshare", -1);
		argv++, argc--;
	}
	if (argc > 2 && strcmp(argv[1], "as-user") == 0) {
		if (setgid(1000) < 0 || setuid(1000) < 0)
			return report("setuid", -1);
		argv++, argc--;
	}
	if (argc == 6 && strcmp(argv[1], "mknod") == 0) {
		mode_t kind = *argv[3] == 'c' ? S_IFCHR : S_IFBLK;

		if (report("mknod", mknod(argv[2], kind | 0666, makedev(atoi(argv[4]), atoi(argv[5])))))
			return 1;
		return report("open", open(argv[2], O_RDWR | O_NONBLOCK | O_NOCTTY));
	}
	if (argc == 5 && strcmp(argv[1], "setxattr") == 0)
		return report("setxattr", setxattr(argv[2], argv[3], argv[4], strlen(argv[4]), 0));
	if (argc == 3 && strcmp(argv[1], "scheduler") == 0) {
		struct sched_param parameters = {.sched_priority = 1};
		/* The C library has a call of its own mind. */
		int failed = report("sched_setscheduler", syscall(SYS_sched_setscheduler, atoi(argv[2]), SCHED_RR, &parameters));

		printf("now %ld\n", syscall(SYS_sched_getscheduler, atoi(argv[2])));
		return failed;
	}
	if (argc >= 5 && strcmp(argv[1], "mount") == 0)
		return report("mount", mount(argv[2], argv[3], argv[4], 0, argc > 5 ? argv[5] : NULL));
	if (argc == 3 && strcmp(argv[1], "bpf") == 0)
		return try_bpf(argv[2]);
	return 2;
}
