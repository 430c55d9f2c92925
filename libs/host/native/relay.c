/* Bytes between pipes: what rsync starts in the place of a remote shell, where what is remote is beyond a websocket. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "roost-helper.h"

static bool wait_for(int fd, short events)
{
	struct pollfd one = {.fd = fd, .events = events};

	return poll(&one, 1, -1) >= 0 || errno == EINTR;
}

static bool write_all(int fd, const char *bytes, size_t left)
{
	while (left > 0) {
		ssize_t written = write(fd, bytes, left);

		if (written < 0 && errno != EINTR && !(errno == EAGAIN && wait_for(fd, POLLOUT)))
			return false;
		if (written > 0) {
			bytes += written;
			left -= written;
		}
	}
	return true;
}

/* Everything that comes at `from` goes to `to`. Not by splice(2): it keeps the pipe it fills locked while it waits for more. */
static int pass_on(int from, int to)
{
	static char bytes[256 * 1024];

	for (;;) {
		ssize_t length = read(from, bytes, sizeof(bytes));

		if (length == 0)
			return 0;
		if (length < 0 && errno != EINTR && !(errno == EAGAIN && wait_for(from, POLLIN)))
			return 1;
		if (length > 0 && !write_all(to, bytes, length))
			return 1;
	}
}

int relay(int input, int output)
{
	pid_t child = fork();

	if (child < 0)
		fail("Cannot fork");
	if (child == 0) {
		close(input);
		close(STDOUT_FILENO);
		_exit(pass_on(STDIN_FILENO, output));
	}
	close(output);
	close(STDIN_FILENO);
	return pass_on(input, STDOUT_FILENO);
}
