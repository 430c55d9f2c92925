/* Mounts that appear and disappear inside a running container. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/mounts.h"
#include "roost-helper.h"

#define NO_FOLLOW 8
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static bool has_option(const char *options, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = options; (at = strstr(at, name)) != NULL; at += length)
		if ((at == options || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
			return true;
	return false;
}

/* Files made from here on belong to the container's user; without the capabilities being lost that go with changing it. */
static void become_owner(uid_t uid, gid_t gid)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	setfsgid(gid);
	setfsuid(uid);
	if (syscall(SYS_capget, &header, data) < 0)
		fail("Cannot read capabilities");
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	if (syscall(SYS_capset, &header, data) < 0)
		fail("Cannot keep capabilities");
}

static void make_mount_point(const char *target, bool directory)
{
	char *path = strdup(target);

	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			fail("Cannot make directory %s", path);
		*slash = '/';
	}
	if (directory) {
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			fail("Cannot make directory %s", path);
	} else {
		int fd = open(path, O_CREAT | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);

		if (fd < 0)
			fail("Cannot make file %s", path);
		close(fd);
	}
	free(path);
}

static unsigned long long propagation_of(const char *options)
{
	if (has_option(options, "shared"))
		return MS_SHARED;
	if (has_option(options, "slave"))
		return MS_SLAVE;
	if (has_option(options, "unbindable"))
		return MS_UNBINDABLE;
	return MS_PRIVATE;
}

/* Options: `recursive`, `ro`, `idmap` (ids as the container has them), `shared`, `slave`, `unbindable` (default private). */
int mount_inside(pid_t pid, const char *source, const char *target, const char *options, uid_t uid, gid_t gid)
{
	bool recursive = has_option(options, "recursive");
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
	struct mount_attr attributes = {.propagation = propagation_of(options)};
	struct stat status;
	int namespace = namespace_of(pid, "mnt");
	int tree = syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));

	if (tree < 0 || fstat(tree, &status) < 0)
		fail("Cannot open %s", source);
	if (has_option(options, "ro"))
		attributes.attr_set |= MOUNT_ATTR_RDONLY;
	if (has_option(options, "idmap")) {
		attributes.attr_set |= MOUNT_ATTR_IDMAP;
		attributes.userns_fd = namespace_of(pid, "user");
	}
	if (syscall(SYS_mount_setattr, tree, "", flags, &attributes, sizeof(attributes)) < 0)
		fail("Cannot set the attributes of the mount of %s", source);
	if (setns(namespace, CLONE_NEWNS) < 0)
		fail("Cannot enter the container");
	become_owner(uid, gid);
	make_mount_point(target, S_ISDIR(status.st_mode));
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		fail("Cannot mount on %s", target);
	return 0;
}

/* The mount point goes too when nothing is in it, with no more rights than the container's root has; absent is success. */
int umount_inside(pid_t pid, const char *target)
{
	int namespace = namespace_of(pid, "mnt"), user = namespace_of(pid, "user");
	struct stat status;

	if (setns(namespace, CLONE_NEWNS) < 0)
		fail("Cannot enter the container");
	if (umount2(target, DETACH | NO_FOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		fail("Cannot unmount %s", target);
	/* A privileged container has ours. */
	if (setns(user, CLONE_NEWUSER) < 0 && errno != EINVAL)
		return 0;
	if (rmdir(target) < 0 && errno == ENOTDIR && lstat(target, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0)
		unlink(target);
	return 0;
}

/* Tries it on a detached copy of the mount; nothing becomes visible anywhere. */
int probe_idmap(const char *path)
{
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP};
	int ready[2], tree, result, map;
	char text[64], byte;
	pid_t child;

	tree = syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || pipe2(ready, O_CLOEXEC) < 0)
		fail("Cannot open %s", path);
	child = fork();
	if (child == 0) {
		byte = unshare(CLONE_NEWUSER) == 0;
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	if (child < 0 || read(ready[0], &byte, 1) != 1 || byte != 1) {
		if (child > 0)
			kill(child, SIGKILL);
		fail("Cannot make a user namespace");
	}
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "/proc/%d/%s", child, i == 0 ? "uid_map" : "gid_map");
		map = open(text, O_WRONLY | O_CLOEXEC);
		if (map < 0 || write(map, "0 100000 65536", 14) != 14)
			byte = 0;
		close(map);
	}
	attributes.userns_fd = namespace_of(child, "user");
	result = syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return result == 0 && byte == 1 ? 0 : 1;
}
