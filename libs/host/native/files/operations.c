/* What a client does to files and handles. Everything is done by descriptors that paths.c found. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "roost-files.h"

struct handle handles[MOST_HANDLES];

int add_handle(int fd, void *stream, bool appends, const char *path)
{
	for (int i = 0; i < MOST_HANDLES; i++) {
		if (handles[i].used)
			continue;
		handles[i] = (struct handle){.used = true, .is_directory = stream != NULL, .appends = appends, .fd = fd, .stream = stream, .path = strdup(path)};
		if (handles[i].path != NULL)
			return i;
		handles[i].used = false;
		break;
	}
	errno = EMFILE;
	return -1;
}

void close_handle(struct handle *handle)
{
	if (handle->stream != NULL)
		closedir(handle->stream);
	else
		close(handle->fd);
	free(handle->path);
	handle->used = false;
}

static int change_size(int fd, uint64_t size)
{
	int written = reopen(fd, O_WRONLY | O_NOCTTY), result;
	int saved;

	if (written < 0)
		return -1;
	result = ftruncate(written, size);
	saved = errno;
	close(written);
	errno = saved;
	return result;
}

int apply_attributes(int fd, const struct attributes *attributes, const char **what)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -1;
	if (attributes->flags & ATTRIBUTE_SIZE) {
		*what = "truncate";
		errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
		if (!S_ISREG(status.st_mode) || change_size(fd, attributes->size) < 0)
			return -1;
	}
	/* A change of owner takes the set-id bits away, so the mode comes after it. */
	*what = "chown";
	if ((attributes->flags & ATTRIBUTE_OWNER) && fchownat(fd, "", attributes->uid, attributes->gid, AT_EMPTY_PATH) < 0)
		return -1;
	*what = "chmod";
	if ((attributes->flags & ATTRIBUTE_MODE) && !S_ISLNK(status.st_mode) && change_mode(fd, attributes->mode & 07777) < 0)
		return -1;
	*what = "chtimes";
	if (attributes->flags & ATTRIBUTE_TIMES) {
		struct timespec times[2] = {{.tv_sec = attributes->accessed}, {.tv_sec = attributes->modified}};

		if (utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
			return -1;
	}
	return 0;
}

/* Closes the directory. */
static int closing(int directory, int result)
{
	int saved = errno;

	close(directory);
	errno = saved;
	return result;
}

int remove_file(const char *path)
{
	char name[256];
	int directory = open_parent(path, name);

	return directory < 0 ? -1 : closing(directory, unlinkat(directory, name, 0));
}

int remove_directory(const char *path)
{
	char name[256];
	int directory = open_parent(path, name);

	return directory < 0 ? -1 : closing(directory, unlinkat(directory, name, AT_REMOVEDIR));
}

int make_directory(const char *path, mode_t mode)
{
	char name[256];
	int directory = open_parent(path, name);

	if (directory < 0 && errno == EBUSY)
		errno = EEXIST;
	return directory < 0 ? -1 : closing(directory, mkdirat(directory, name, mode));
}

int make_symlink(const char *target, const char *path)
{
	char name[256];
	int directory = open_parent(path, name);

	if (directory < 0 && errno == EBUSY)
		errno = EEXIST;
	return directory < 0 ? -1 : closing(directory, symlinkat(target, directory, name));
}

/* Calls `act` with the folders of both paths, and the names in them. */
static int in_both(const char *from, const char *to, int (*act)(int, const char *, int, const char *))
{
	char old_name[256], new_name[256];
	int old_directory = open_parent(from, old_name), new_directory;

	if (old_directory < 0)
		return -1;
	new_directory = open_parent(to, new_name);
	if (new_directory < 0)
		return closing(old_directory, -1);
	return closing(old_directory, closing(new_directory, act(old_directory, old_name, new_directory, new_name)));
}

static int keep_the_other(int old_directory, const char *old_name, int new_directory, const char *new_name)
{
	return renameat2(old_directory, old_name, new_directory, new_name, RENAME_NOREPLACE);
}

static int hard_link(int old_directory, const char *old_name, int new_directory, const char *new_name)
{
	return linkat(old_directory, old_name, new_directory, new_name, 0);
}

int rename_path(const char *from, const char *to, bool replace)
{
	return in_both(from, to, replace ? renameat : keep_the_other);
}

int make_hard_link(const char *from, const char *to)
{
	return in_both(from, to, hard_link);
}
