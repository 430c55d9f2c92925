/*
 * Finding and opening what a client names. Every look-up starts at the root and stays below it, whatever `..`, links and races say, and goes
 * through none of the links of /proc that stand for open files. A file is found first and opened only when it is a regular one: opening a FIFO
 * may wait for ever, opening a device may do anything.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "roost-files.h"

#define MOST_TRIES 40

static int root = -1;

void open_root(void)
{
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		_exit(1);
}

static int open_inside(const char *path, int flags, mode_t mode)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd;

	/* EAGAIN: something was renamed meanwhile, and the kernel could not tell whether it led out. */
	for (int tries = 0; tries < MOST_TRIES; tries++) {
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			return fd;
	}
	return -1;
}

int find(const char *path, bool follow)
{
	return open_inside(path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);
}

int open_directory(const char *path)
{
	return open_inside(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOCTTY, 0);
}

/* The closed descriptor's errno is not wanted. */
static int failed(int fd, int error)
{
	close(fd);
	errno = error;
	return -1;
}

static int open_found(int found, int flags)
{
	struct stat status;
	int fd;

	if (fstat(found, &status) < 0)
		return failed(found, errno);
	if (S_ISDIR(status.st_mode))
		return failed(found, EISDIR);
	if (!S_ISREG(status.st_mode))
		return failed(found, ENXIO);
	fd = reopen(found, (flags & ~(O_CREAT | O_EXCL)) | O_NOCTTY);
	return fd < 0 ? failed(found, errno) : (close(found), fd);
}

/* Where a link points that leads to nothing yet, from the root. */
static int follow_dangling(char path[PATH_MAX])
{
	char target[PATH_MAX], joined[PATH_MAX];
	int link = find(path, false);
	const char *slash;
	ssize_t length;

	if (link < 0)
		return -1;
	length = readlinkat(link, "", target, sizeof(target) - 1);
	close(link);
	/* No link any more: the next try finds what is there now. */
	if (length <= 0)
		return 0;
	target[length] = '\0';
	slash = strrchr(path, '/');
	if (target[0] == '/' || slash == NULL)
		length = snprintf(joined, sizeof(joined), "%s", target);
	else
		length = snprintf(joined, sizeof(joined), "%.*s/%s", (int)(slash - path), path, target);
	if (length >= (ssize_t)sizeof(joined)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(path, joined);
	return 0;
}

int open_file(const char *given, int flags, mode_t mode)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", given) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* No file is written by such a name, whatever is there. */
	if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) && *path != '\0' && path[strlen(path) - 1] == '/') {
		errno = EISDIR;
		return -1;
	}
	for (int tries = 0; tries < MOST_TRIES; tries++) {
		int found = flags & O_EXCL ? -1 : find(path, true), fd;

		if (found >= 0)
			return open_found(found, flags);
		if (!(flags & O_EXCL) && (errno != ENOENT || !(flags & O_CREAT)))
			return -1;
		fd = open_inside(path, (flags & ~O_TRUNC) | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY, mode);
		if (fd >= 0 || errno != EEXIST || (flags & O_EXCL))
			return fd;
		if (follow_dangling(path) < 0)
			return -1;
	}
	errno = ELOOP;
	return -1;
}

int open_parent(const char *path, char name[256])
{
	char directory[PATH_MAX];
	size_t length = strlen(path);
	const char *last;

	if (length >= sizeof(directory)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	while (length > 0 && path[length - 1] == '/')
		length--;
	last = path + length;
	while (last > path && last[-1] != '/')
		last--;
	length -= last - path;
	if (length > 255) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, last, length);
	name[length] = '\0';
	if (length == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		errno = EBUSY;
		return -1;
	}
	snprintf(directory, sizeof(directory), "%.*s/", (int)(last - path), path);
	return open_inside(directory, O_PATH | O_DIRECTORY, 0);
}
