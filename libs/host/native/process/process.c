#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

void fail(const char *format, ...)
{
	int saved = errno;
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s\n", strerror(saved));
	exit(1);
}

/* Field 22 of /proc/PID/stat, after the command's name in parentheses. */
unsigned long long start_time(pid_t pid)
{
	char path[64], text[1024];
	unsigned long long ticks = 0;
	ssize_t length;
	char *cursor;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	cursor = strrchr(text, ')');
	for (int field = 2; cursor != NULL && field < 22; field++)
		cursor = strchr(cursor + 1, ' ');
	if (cursor != NULL)
		ticks = strtoull(cursor + 1, NULL, 10);
	return ticks;
}

int namespace_of(pid_t pid, const char *kind)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("Cannot open %s", path);
	return fd;
}
