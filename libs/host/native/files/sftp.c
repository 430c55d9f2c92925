/*
 * SFTP version 3 with OpenSSH's extensions, one request after the other. Two more carry whole files without packets: `get@roost` and
 * `put@roost`, after which the connection is theirs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sftp.h"

static void handle_close(void)
{
	uint32_t length, index = MOST_HANDLES;
	const uint8_t *bytes = take_bytes(&request, &length);

	if (bytes != NULL && length == sizeof(index))
		memcpy(&index, bytes, sizeof(index));
	if (index >= MOST_HANDLES || !handles[index].used)
		return answer_status(FAILURE, "bad handle");
	close_handle(&handles[index]);
	answer_status(OK, "");
}

static void handle_stat(const char *what, const char *path, bool follow)
{
	int fd = find(path, follow);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		answer_error(what, path, NULL);
	else
		answer_attributes(&status);
	if (fd >= 0)
		close(fd);
}

static void handle_fstat(void)
{
	struct handle *handle = take_handle(false);
	struct stat status;

	if (handle == NULL)
		return;
	if (fstat(handle->fd, &status) < 0)
		return answer_error("stat", handle->path, NULL);
	answer_attributes(&status);
}

static void handle_setstat(const char *path, bool follow)
{
	struct attributes attributes;
	const char *what = "stat";
	int fd = find(path, follow), result = -1;

	take_attributes(&request, &attributes);
	if (fd >= 0)
		result = apply_attributes(fd, &attributes, &what);
	answer_result(result, what, path, NULL);
	if (fd >= 0)
		close(fd);
}

static void handle_fsetstat(void)
{
	struct handle *handle = take_handle(false);
	struct attributes attributes;
	const char *what = "stat";
	int result;

	take_attributes(&request, &attributes);
	if (handle == NULL)
		return;
	result = apply_attributes(handle->fd, &attributes, &what);
	answer_result(result, what, handle->path, NULL);
}

static void handle_mkdir(const char *path)
{
	struct attributes attributes;

	take_attributes(&request, &attributes);
	answer_result(make_directory(path, attributes.flags & ATTRIBUTE_MODE ? attributes.mode & 07777 : 0755), "mkdir", path, NULL);
}

static void handle_two(uint8_t type, const char *first)
{
	bool valid = true;
	const char *second = take_text(&request, &valid);

	if (!valid) {
		errno = EINVAL;
		return answer_error(type == SYMLINK ? "symlink" : "rename", first, second);
	}
	if (type == SYMLINK)
		answer_result(make_symlink(first, second), "symlink", first, second);
	else
		answer_result(rename_path(first, second, false), "rename", first, second);
}

static void answer_statvfs(const char *path, int fd)
{
	struct statvfs status;

	if (fd < 0 || fstatvfs(fd, &status) < 0)
		return answer_error("statvfs", path, NULL);
	begin(&reply, EXTENDED_REPLY);
	put_number(&reply, id);
	put_long(&reply, status.f_bsize);
	put_long(&reply, status.f_frsize);
	put_long(&reply, status.f_blocks);
	put_long(&reply, status.f_bfree);
	put_long(&reply, status.f_bavail);
	put_long(&reply, status.f_files);
	put_long(&reply, status.f_ffree);
	put_long(&reply, status.f_favail);
	put_long(&reply, status.f_fsid);
	put_long(&reply, ((status.f_flag & ST_RDONLY) ? 1 : 0) | ((status.f_flag & ST_NOSUID) ? 2 : 0));
	put_long(&reply, status.f_namemax);
	finish(&reply);
}

static void answer_limits(void)
{
	begin(&reply, EXTENDED_REPLY);
	put_number(&reply, id);
	put_long(&reply, LONGEST_PACKET);
	put_long(&reply, LONGEST_READ);
	put_long(&reply, LONGEST_READ);
	put_long(&reply, MOST_HANDLES);
	finish(&reply);
}

static void handle_extended(void)
{
	bool valid = true;
	const char *name = take_text(&request, &valid), *path, *other;
	struct handle *handle;
	int fd;

	if (strcmp(name, "get@roost") == 0 || strcmp(name, "put@roost") == 0)
		return handle_stream(name[0] == 'g');
	if (strcmp(name, "limits@openssh.com") == 0)
		return answer_limits();
	if (strcmp(name, "fsync@openssh.com") == 0) {
		if ((handle = take_handle(false)) != NULL)
			answer_result(fsync(handle->fd), "fsync", handle->path, NULL);
		return;
	}
	if (strcmp(name, "fstatvfs@openssh.com") == 0) {
		if ((handle = take_handle(false)) != NULL)
			answer_statvfs(handle->path, handle->fd);
		return;
	}
	path = take_text(&request, &valid);
	if (strcmp(name, "statvfs@openssh.com") == 0 && valid) {
		fd = find(path, true);
		answer_statvfs(path, fd);
		if (fd >= 0)
			close(fd);
		return;
	}
	if (strcmp(name, "lsetstat@openssh.com") == 0 && valid)
		return handle_setstat(path, false);
	if (strcmp(name, "posix-rename@openssh.com") != 0 && strcmp(name, "hardlink@openssh.com") != 0)
		return answer_status(UNSUPPORTED, "operation unsupported");
	other = take_text(&request, &valid);
	if (!valid)
		return answer_status(BAD_MESSAGE, "bad message");
	if (name[0] == 'p')
		answer_result(rename_path(path, other, true), "rename", path, other);
	else
		answer_result(make_hard_link(path, other), "link", path, other);
}

static void answer_version(void)
{
	static const char *const extensions[][2] = {
		{"posix-rename@openssh.com", "1"}, {"statvfs@openssh.com", "2"}, {"fstatvfs@openssh.com", "2"}, {"hardlink@openssh.com", "1"},
		{"fsync@openssh.com", "1"}, {"lsetstat@openssh.com", "1"}, {"limits@openssh.com", "1"},
	};

	begin(&reply, VERSION);
	put_number(&reply, 3);
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		put_text(&reply, extensions[i][0]);
		put_text(&reply, extensions[i][1]);
	}
	finish(&reply);
}

static void handle_path(uint8_t type)
{
	static const char *const names[] = {[OPEN] = "open", [LSTAT] = "lstat", [STAT] = "stat", [SETSTAT] = "stat", [OPENDIR] = "open", [REMOVE] = "remove",
					    [MKDIR] = "mkdir", [RMDIR] = "remove", [REALPATH] = "realpath", [RENAME] = "rename", [READLINK] = "readlink", [SYMLINK] = "symlink"};
	bool valid = true;
	const char *path = take_text(&request, &valid);

	if (request.broken)
		return answer_status(BAD_MESSAGE, "bad message");
	if (!valid) {
		errno = EINVAL;
		return answer_error(names[type], path, NULL);
	}
	switch (type) {
	case OPEN: return handle_open(path);
	case LSTAT: return handle_stat("lstat", path, false);
	case STAT: return handle_stat("stat", path, true);
	case SETSTAT: return handle_setstat(path, true);
	case OPENDIR: return handle_opendir(path);
	case REMOVE: return answer_result(remove_file(path), "remove", path, NULL);
	case RMDIR: return answer_result(remove_directory(path), "remove", path, NULL);
	case MKDIR: return handle_mkdir(path);
	case REALPATH: return handle_realpath(path);
	case READLINK: return handle_readlink(path);
	default: return handle_two(type, path);
	}
}

static void handle_request(uint8_t type)
{
	switch (type) {
	case CLOSE: return handle_close();
	case READ: return handle_read();
	case WRITE: return handle_write();
	case FSTAT: return handle_fstat();
	case FSETSTAT: return handle_fsetstat();
	case READDIR: return handle_readdir();
	case EXTENDED: return handle_extended();
	case OPEN: case LSTAT: case STAT: case SETSTAT: case OPENDIR: case REMOVE: case RMDIR: case MKDIR: case REALPATH: case READLINK: case RENAME: case SYMLINK:
		return handle_path(type);
	default: return answer_status(UNSUPPORTED, "operation unsupported");
	}
}

void serve_connection(void)
{
	while (receive(&request)) {
		uint8_t type = take_byte(&request);

		if (type == INIT) {
			answer_version();
			continue;
		}
		id = take_number(&request);
		if (request.broken)
			break;
		handle_request(type);
	}
	_exit(0);
}
