/* Directories and links, and what paths mean. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sftp.h"

/* How much of a directory goes into one answer. */
#define MOST_NAMES 128
#define LONGEST_LISTING (128 * 1024)

void handle_opendir(const char *path)
{
	int fd = open_directory(path);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && stream == NULL)
		close(fd);
	answer_handle(stream == NULL ? -1 : fd, stream, false, path);
}

/* As `ls -l` shows it; clients that are programs use the attributes. */
static void put_long_name(const char *name, const struct stat *status)
{
	char text[512];

	snprintf(text, sizeof(text), "%c%c%c%c%c%c%c%c%c%c %4u %8u %8u %12lld %s",
		 S_ISDIR(status->st_mode) ? 'd' : S_ISLNK(status->st_mode) ? 'l' : '-', status->st_mode & 0400 ? 'r' : '-', status->st_mode & 0200 ? 'w' : '-',
		 status->st_mode & 0100 ? 'x' : '-', status->st_mode & 040 ? 'r' : '-', status->st_mode & 020 ? 'w' : '-', status->st_mode & 010 ? 'x' : '-',
		 status->st_mode & 04 ? 'r' : '-', status->st_mode & 02 ? 'w' : '-', status->st_mode & 01 ? 'x' : '-', (unsigned)status->st_nlink,
		 status->st_uid, status->st_gid, (long long)status->st_size, name);
	put_text(&reply, text);
}

void handle_readdir(void)
{
	struct handle *handle = take_handle(true);
	struct dirent *entry;
	struct stat status;
	uint32_t count = 0;

	if (handle == NULL)
		return;
	begin(&reply, NAME);
	put_number(&reply, id);
	put_number(&reply, 0);
	while (count < MOST_NAMES && reply.length < LONGEST_LISTING && (errno = 0, entry = readdir(handle->stream)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(handle->stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		put_text(&reply, entry->d_name);
		put_long_name(entry->d_name, &status);
		put_attributes(&reply, &status);
		count++;
	}
	if (count == 0 && errno != 0)
		return answer_error("readdirent", handle->path, NULL);
	if (count == 0)
		return answer_status(END, "EOF");
	/* Behind length, type and id. */
	reply.bytes[9] = count >> 24;
	reply.bytes[10] = count >> 16;
	reply.bytes[11] = count >> 8;
	reply.bytes[12] = count;
	finish(&reply);
}

static void answer_name(const char *name)
{
	begin(&reply, NAME);
	put_number(&reply, id);
	put_number(&reply, 1);
	put_text(&reply, name);
	put_text(&reply, name);
	put_number(&reply, 0);
	finish(&reply);
}

void handle_readlink(const char *path)
{
	char target[PATH_MAX];
	int fd = find(path, false);
	ssize_t length = -1;

	if (fd >= 0) {
		length = readlinkat(fd, "", target, sizeof(target) - 1);
		/* What an empty path says of something else. */
		if (length < 0 && errno == ENOENT)
			errno = EINVAL;
	}
	if (length < 0) {
		answer_error("readlink", path, NULL);
	} else {
		target[length] = '\0';
		answer_name(target);
	}
	if (fd >= 0)
		close(fd);
}

/* By its text alone, from the root: what a name means is decided when it is used. */
void handle_realpath(const char *path)
{
	char *clean = malloc(strlen(path) + 2), *end = clean;

	if (clean == NULL)
		_exit(1);
	while (*path != '\0') {
		size_t length = strcspn(path, "/");

		if (length == 2 && memcmp(path, "..", 2) == 0) {
			while (end > clean && *--end != '/')
				;
		} else if (length > 0 && !(length == 1 && *path == '.')) {
			*end++ = '/';
			memcpy(end, path, length);
			end += length;
		}
		path += length + (path[length] == '/');
	}
	if (end == clean)
		*end++ = '/';
	*end = '\0';
	answer_name(clean);
	free(clean);
}
