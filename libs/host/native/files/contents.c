/* The bytes of files: in messages, or all at once with the connection to themselves. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "sftp.h"

static uint8_t buffer[LONGEST_READ];

void handle_open(const char *path)
{
	uint32_t wanted = take_number(&request);
	struct attributes attributes;
	int flags = wanted & OPEN_WRITE ? (wanted & OPEN_READ ? O_RDWR : O_WRONLY) : O_RDONLY;

	take_attributes(&request, &attributes);
	if (wanted & OPEN_CREATE)
		flags |= O_CREAT;
	if (wanted & OPEN_TRUNCATE)
		flags |= O_TRUNC;
	if (wanted & OPEN_APPEND)
		flags |= O_APPEND;
	if ((wanted & OPEN_EXCLUSIVE) && (wanted & OPEN_CREATE))
		flags |= O_EXCL;
	answer_handle(open_file(path, flags, attributes.flags & ATTRIBUTE_MODE ? attributes.mode & 07777 : 0644), NULL, wanted & OPEN_APPEND, path);
}

void handle_read(void)
{
	struct handle *handle = take_handle(false);
	uint64_t offset = take_long(&request);
	uint32_t length = take_number(&request);
	ssize_t count;

	if (handle == NULL)
		return;
	do
		count = pread(handle->fd, buffer, length < sizeof(buffer) ? length : sizeof(buffer), offset);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return answer_error("read", handle->path, NULL);
	if (count == 0 && length > 0)
		return answer_status(END, "EOF");
	begin(&reply, DATA);
	put_number(&reply, id);
	put_bytes(&reply, buffer, count);
	finish(&reply);
}

/* All of it, or -1. */
static int write_file(const struct handle *handle, const uint8_t *bytes, size_t length, uint64_t offset)
{
	while (length > 0) {
		ssize_t count = handle->appends ? write(handle->fd, bytes, length) : pwrite(handle->fd, bytes, length, offset);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -1;
		bytes += count;
		length -= count;
		offset += count;
	}
	return 0;
}

void handle_write(void)
{
	struct handle *handle = take_handle(false);
	uint64_t offset = take_long(&request);
	uint32_t length;
	const uint8_t *bytes = take_bytes(&request, &length);

	if (handle == NULL)
		return;
	if (bytes == NULL)
		return answer_status(BAD_MESSAGE, "bad message");
	answer_result(write_file(handle, bytes, length, offset), "write", handle->path, NULL);
}

/* Exactly as many bytes as asked for, after which the connection ends; a file that became shorter ends it too early. */
static void __attribute__((noreturn)) send_file(const struct handle *handle, uint64_t offset, uint64_t length)
{
	off_t at = offset;

	answer_status(OK, "");
	while (length > 0) {
		ssize_t count = sendfile(CONNECTION, handle->fd, &at, length < 0x7ffff000 ? length : 0x7ffff000);

		if (count < 0 && errno == EINTR)
			continue;
		if (count == 0 || (count < 0 && errno != EINVAL))
			break;
		if (count < 0) {
			/* Some file systems know nothing of it. */
			count = pread(handle->fd, buffer, length < sizeof(buffer) ? length : sizeof(buffer), at);
			if (count <= 0)
				break;
			write_all(buffer, count);
			at += count;
		}
		length -= count;
	}
	_exit(0);
}

/* All that comes until its sender ends; then says how it went. */
static void __attribute__((noreturn)) receive_file(struct handle *handle, uint64_t offset)
{
	int error = 0;

	answer_status(OK, "");
	for (;;) {
		ssize_t count = read(CONNECTION, buffer, sizeof(buffer));

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		/* Who sends is told at once, and the rest is dropped. */
		if (error == 0 && write_file(handle, buffer, count, offset) < 0) {
			error = errno;
			answer_error("write", handle->path, NULL);
		}
		offset += count;
	}
	if (error == 0)
		answer_status(OK, "");
	_exit(0);
}

void handle_stream(bool get)
{
	struct handle *handle = take_handle(false);
	uint64_t offset = take_long(&request), length = get ? take_long(&request) : 0;

	if (handle == NULL)
		return;
	if (request.broken)
		return answer_status(BAD_MESSAGE, "bad message");
	if (get)
		send_file(handle, offset, length);
	receive_file(handle, offset);
}
