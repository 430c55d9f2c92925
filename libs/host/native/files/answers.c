/* What a request is answered with, and how it names what was opened. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sftp.h"

struct packet request, reply;
uint32_t id;

void answer_status(uint32_t code, const char *text)
{
	begin(&reply, STATUS);
	put_number(&reply, id);
	put_number(&reply, code);
	put_text(&reply, text);
	put_text(&reply, "");
	finish(&reply);
}

void answer_error(const char *what, const char *path, const char *other)
{
	int error = errno;
	char why[128], *text = NULL;

	snprintf(why, sizeof(why), "%s", strerror(error));
	if (why[0] >= 'A' && why[0] <= 'Z')
		why[0] += 'a' - 'A';
	if (asprintf(&text, "%s %s%s%s: %s", what, path, other == NULL ? "" : " ", other == NULL ? "" : other, why) < 0)
		_exit(1);
	answer_status(error == ENOENT ? NO_SUCH_FILE : error == EACCES || error == EPERM ? PERMISSION_DENIED : FAILURE, text);
	free(text);
}

void answer_result(int result, const char *what, const char *path, const char *other)
{
	if (result < 0)
		answer_error(what, path, other);
	else
		answer_status(OK, "");
}

void answer_attributes(const struct stat *status)
{
	begin(&reply, ATTRS);
	put_number(&reply, id);
	put_attributes(&reply, status);
	finish(&reply);
}

struct handle *take_handle(bool directory)
{
	uint32_t length, index = MOST_HANDLES;
	const uint8_t *bytes = take_bytes(&request, &length);

	if (bytes != NULL && length == sizeof(index))
		memcpy(&index, bytes, sizeof(index));
	if (index < MOST_HANDLES && handles[index].used && handles[index].is_directory == directory)
		return &handles[index];
	answer_status(FAILURE, "bad handle");
	return NULL;
}

void answer_handle(int fd, DIR *stream, bool appends, const char *path)
{
	int added = fd < 0 ? -1 : add_handle(fd, stream, appends, path);
	uint32_t index = added;

	if (added < 0) {
		int saved = errno;

		if (stream != NULL)
			closedir(stream);
		else if (fd >= 0)
			close(fd);
		errno = saved;
		return answer_error("open", path, NULL);
	}
	begin(&reply, HANDLE);
	put_number(&reply, id);
	put_bytes(&reply, &index, sizeof(index));
	finish(&reply);
}
