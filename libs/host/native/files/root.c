/* Where the server's "/" is: a running container's, or a tree that is mounted for it alone. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../process/mounts.h"
#include "roost-files.h"

#define LONGEST_MAP 8192

static bool is_ours(int namespace, const char *kind)
{
	struct stat theirs, own;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	if (fstat(namespace, &theirs) < 0 || stat(path, &own) < 0)
		fail("Cannot compare namespaces");
	return theirs.st_ino == own.st_ino && theirs.st_dev == own.st_dev;
}

/* The host's procfs, for descriptors' links: what is mounted on /proc inside is not to be trusted. */
static void keep_proc(void)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || dup3(fd, HOST_PROC, O_CLOEXEC) < 0)
		fail("Cannot open /proc");
	close(fd);
}

int reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "self/fd/%d", fd);
	return openat(HOST_PROC, path, flags | O_CLOEXEC);
}

int change_mode(int fd, mode_t mode)
{
	char path[64];

	snprintf(path, sizeof(path), "self/fd/%d", fd);
	return fchmodat(HOST_PROC, path, mode, 0);
}

/* Root of the user namespace just entered. */
static void become_root(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		fail("Cannot become the container's root");
}

void enter_running(pid_t init, unsigned long long start_ticks)
{
	int pidfd = syscall(SYS_pidfd_open, init, 0), user;
	bool same_user;

	if (pidfd < 0)
		fail("Cannot open the container's init");
	user = namespace_of(init, "user");
	same_user = is_ours(user, "user");
	close(user);
	keep_proc();
	/* The descriptor stays with the process it was opened for, so looking afterwards is right. */
	if (start_time(init) != start_ticks) {
		errno = ESRCH;
		fail("Cannot enter the container");
	}
	if (setns(pidfd, CLONE_NEWNS | (same_user ? 0 : CLONE_NEWUSER)) < 0)
		fail("Cannot enter the container");
	close(pidfd);
	if (chdir("/") < 0)
		fail("Cannot enter the container's root");
	become_root();
}

/* `b:0:100000:65536,...` to what uid_map and gid_map take. */
static void write_map(pid_t child, const char *file, const char *map, char other)
{
	char path[64], text[LONGEST_MAP];
	size_t length = 0;
	int fd;

	while (*map != '\0') {
		unsigned inside, host, count;
		char kind;
		int used;

		if (sscanf(map, "%c:%u:%u:%u%n", &kind, &inside, &host, &count, &used) != 4 || length > sizeof(text) - 64) {
			errno = EINVAL;
			fail("Cannot read the id map");
		}
		if (kind != other)
			length += snprintf(text + length, sizeof(text) - length, "%u %u %u\n", inside, host, count);
		map += used + (map[used] == ',');
	}
	snprintf(path, sizeof(path), "/proc/%d/%s", child, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, length) != (ssize_t)length)
		fail("Cannot write the id map");
	close(fd);
}

/* A user namespace with these ids; its process is gone when this returns. */
static int make_user_namespace(const char *map)
{
	int ready[2], fd;
	pid_t child;
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		fail("Cannot make a pipe");
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		byte = unshare(CLONE_NEWUSER) == 0;
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	close(ready[1]);
	if (child < 0 || read(ready[0], &byte, 1) != 1 || byte != 1) {
		if (child > 0)
			kill(child, SIGKILL);
		fail("Cannot make a user namespace");
	}
	close(ready[0]);
	write_map(child, "uid_map", map, 'g');
	write_map(child, "gid_map", map, 'u');
	fd = namespace_of(child, "user");
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return fd;
}

void enter_tree(const char *path, const char *map, bool mapped)
{
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
	int user = *map == '\0' ? -1 : make_user_namespace(map), tree;
	struct stat status;

	keep_proc();
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, RECURSIVE | PRIVATE, NULL) < 0)
		fail("Cannot make a mount namespace");
	tree = syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (tree < 0 || fstat(tree, &status) < 0)
		fail("open %s", path);
	if (!S_ISDIR(status.st_mode)) {
		errno = ENOTDIR;
		fail("open %s", path);
	}
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
		fail("Cannot protect %s", path);
	if (mapped && user >= 0) {
		struct mount_attr map_attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = user};

		/* Where files cannot be shown through a map, they have the container's own ids for the host too until it starts first. */
		if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &map_attributes, sizeof(map_attributes)) < 0) {
			close(user);
			user = -1;
		}
	}
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(tree) < 0)
		fail("Cannot mount %s", path);
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", DETACH) < 0 || chdir("/") < 0)
		fail("Cannot make %s the root", path);
	close(tree);
	if (user < 0)
		return;
	if (setns(user, CLONE_NEWUSER) < 0)
		fail("Cannot enter a user namespace");
	close(user);
	become_root();
}

void drop_privileges(void)
{
	static const int kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}, {0}};
	struct rlimit none = {0};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		data[CAP_TO_INDEX(kept[i])].permitted |= CAP_TO_MASK(kept[i]);
	data[0].effective = data[0].permitted;
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		prctl(PR_CAPBSET_DROP, capability);
	if (syscall(SYS_capset, &header, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail("Cannot give up privileges");
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}
