/* The calls on files and on the scheduler, and what all emulated calls need: see syscalls.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "syscalls.h"

#define LONGEST_PATH 4096

bool read_bytes(const struct call *call, uint64_t address, void *bytes, size_t size)
{
	return pread(call->memory, bytes, size, (off_t)address) == (ssize_t)size;
}

bool read_text(const struct call *call, uint64_t address, char *text, size_t size)
{
	/* It may end right before a page that is not there. */
	for (size_t done = 0; done < size;) {
		size_t left = 4096 - ((address + done) & 4095);
		ssize_t count = pread(call->memory, text + done, left < size - done ? left : size - done, (off_t)(address + done));

		if (count <= 0)
			return false;
		if (memchr(text + done, '\0', count) != NULL)
			return true;
		done += count;
	}
	return false;
}

bool still_waits(const struct call *call)
{
	uint64_t id = call->request->id;

	if (call->notify >= 0)
		return ioctl(call->notify, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
	return faccessat(call->proc, "status", F_OK, 0) == 0;
}

static void parse_status_line(char *line, struct caller *caller)
{
	unsigned real, effective, saved, files;

	if (sscanf(line, "Uid: %u %u %u %u", &real, &effective, &saved, &files) == 4)
		caller->uid = files;
	else if (sscanf(line, "Gid: %u %u %u %u", &real, &effective, &saved, &files) == 4)
		caller->gid = files;
	else if (strncmp(line, "Umask:", 6) == 0)
		caller->umask = strtoul(line + 6, NULL, 8);
	else if (strncmp(line, "CapEff:", 7) == 0)
		caller->capabilities = strtoull(line + 7, NULL, 16);
	else if (strncmp(line, "Groups:", 7) == 0)
		for (char *word = strtok(line + 7, " \t\n"); word != NULL && caller->group_count < 64; word = strtok(NULL, " \t\n"))
			caller->groups[caller->group_count++] = strtoul(word, NULL, 10);
}

bool read_caller(const struct call *call, struct caller *caller, int capability)
{
	struct stat own, container;
	char path[64], line[4096];
	int fd = openat(call->proc, "status", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	memset(caller, 0, sizeof(*caller));
	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL)
		parse_status_line(line, caller);
	fclose(file);
	/* Anybody inside may make a user namespace and have every capability in that. */
	snprintf(path, sizeof(path), "/proc/%d/ns/user", call->init);
	if (fstatat(call->proc, "ns/user", &own, 0) < 0 || stat(path, &container) < 0 || own.st_ino != container.st_ino || own.st_dev != container.st_dev)
		return false;
	return (caller->capabilities >> capability) & 1;
}

bool enter(const struct call *call, int directory)
{
	char name[32];
	int root = openat(call->proc, "root", O_PATH | O_CLOEXEC);
	int mounts = openat(call->proc, "ns/mnt", O_RDONLY | O_CLOEXEC);
	int start;

	snprintf(name, sizeof(name), "fd/%d", directory);
	start = openat(call->proc, directory == AT_FDCWD ? "cwd" : name, O_PATH | O_CLOEXEC);
	if (root < 0 || mounts < 0 || start < 0 || !still_waits(call))
		return false;
	return setns(mounts, CLONE_NEWNS) == 0 && fchdir(root) == 0 && chroot(".") == 0 && fchdir(start) == 0;
}

bool become(const struct caller *caller, uint64_t capabilities)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = capabilities, .permitted = capabilities},
		{.effective = capabilities >> 32, .permitted = capabilities >> 32},
	};

	umask(caller->umask);
	return prctl(PR_SET_KEEPCAPS, 1) == 0 && setgroups(caller->group_count, caller->groups) == 0 && setresgid(caller->gid, caller->gid, caller->gid) == 0 &&
	       setresuid(caller->uid, caller->uid, caller->uid) == 0 && syscall(SYS_capset, &header, data) == 0;
}

static void decide(struct result *result, int error)
{
	result->decided = true;
	result->error = error;
}

/* Character devices that can do no harm, and where the host has them; the whiteout of overlay file systems is nowhere. */
static const struct {
	unsigned major, minor;
	const char *path;
} harmless[] = {
	{0, 0, NULL}, {5, 1, "/dev/console"}, {1, 7, "/dev/full"}, {1, 3, "/dev/null"}, {1, 8, "/dev/random"}, {5, 0, "/dev/tty"}, {1, 9, "/dev/urandom"}, {1, 5, "/dev/zero"},
};

static int mount_device(const char *path, mode_t mode, int tree)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, mode & 0777);

	if (fd < 0)
		return errno;
	if (syscall(SYS_move_mount, tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0)
		return 0;
	unlink(path);
	return EPERM;
}

static void emulate_mknod(struct call *call, struct result *result, int directory, uint64_t path_address, mode_t mode, dev_t device)
{
	char path[LONGEST_PATH];
	struct caller caller;
	int tree = -1, fd, error;
	size_t kind = 0;

	while (kind < sizeof(harmless) / sizeof(harmless[0]) && (harmless[kind].major != major(device) || harmless[kind].minor != minor(device)))
		kind++;
	if ((mode & S_IFMT) != S_IFCHR || kind == sizeof(harmless) / sizeof(harmless[0]))
		return;
	if (!read_text(call, path_address, path, sizeof(path)) || !read_caller(call, &caller, CAP_MKNOD))
		return;
	if (harmless[kind].path != NULL)
		tree = syscall(SYS_open_tree, AT_FDCWD, harmless[kind].path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (!enter(call, directory) || !become(&caller, 1ULL << CAP_MKNOD | 1ULL << CAP_SYS_ADMIN))
		return;
	error = mknod(path, mode, device) == 0 ? 0 : errno;
	if (error == 0 && tree >= 0) {
		/* On a file system the container mounted itself, no device opens: there the host's is shown instead. */
		fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
		else if (errno == EACCES && unlink(path) == 0)
			error = mount_device(path, mode, tree);
	}
	decide(result, error);
}

static void emulate_setxattr(struct call *call, struct result *result)
{
	const __u64 *arguments = call->request->data.args;
	char path[LONGEST_PATH], name[256], value;
	struct caller caller;

	if (!read_text(call, arguments[0], path, sizeof(path)) || !read_text(call, arguments[1], name, sizeof(name)) || arguments[3] != 1 ||
	    !read_bytes(call, arguments[2], &value, 1) || strcmp(name, "trusted.overlay.opaque") != 0 || value != 'y')
		return;
	if (!read_caller(call, &caller, CAP_SYS_ADMIN) || !enter(call, AT_FDCWD) || !become(&caller, 1ULL << CAP_SYS_ADMIN))
		return;
	decide(result, setxattr(path, name, &value, 1, (int)arguments[4]) == 0 ? 0 : errno);
}

static void emulate_sched_setscheduler(struct call *call, struct result *result)
{
	const __u64 *arguments = call->request->data.args;
	pid_t target = (pid_t)arguments[0], child;
	int policy = (int)arguments[1], pids, status = 0;
	struct sched_param parameters;
	struct caller caller;

	if (!read_bytes(call, arguments[2], &parameters, sizeof(parameters)) || !read_caller(call, &caller, CAP_SYS_NICE))
		return;
	if (target == 0) {
		if (still_waits(call))
			decide(result, sched_setscheduler(call->request->pid, policy, &parameters) == 0 ? 0 : errno);
		return;
	}
	/* Another process is named as the caller counts. */
	pids = openat(call->proc, "ns/pid", O_RDONLY | O_CLOEXEC);
	if (pids < 0 || !still_waits(call) || setns(pids, CLONE_NEWPID) < 0)
		return;
	signal(SIGCHLD, SIG_DFL);
	child = fork();
	if (child == 0)
		_exit(sched_setscheduler(target, policy, &parameters) == 0 ? 0 : errno);
	if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status))
		decide(result, WEXITSTATUS(status));
}

void emulate(struct call *call, struct result *result)
{
	const __u64 *arguments = call->request->data.args;

	switch (call->request->data.nr) {
#ifdef SYS_mknod
	case SYS_mknod:
		return emulate_mknod(call, result, AT_FDCWD, arguments[0], arguments[1], (uint32_t)arguments[2]);
#endif
	case SYS_mknodat:
		return emulate_mknod(call, result, (int)arguments[0], arguments[1], arguments[2], (uint32_t)arguments[3]);
	case SYS_setxattr:
		return emulate_setxattr(call, result);
	case SYS_sched_setscheduler:
		return emulate_sched_setscheduler(call, result);
	case SYS_mount:
		return emulate_mount(call, result);
	case SYS_bpf:
		return emulate_bpf(call, result);
	default:
		return;
	}
}
