/*
 * What sessions have in common: their directory, their control lines, and the pump between a terminal and the daemon's connection.
 * See exec.c for what lies in the directory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "session.h"

static const char *session_directory;

void session_path(char *path, size_t size, const char *file)
{
	snprintf(path, size, "%s/%s", session_directory, file);
}

void write_session_file(const char *file, const char *text)
{
	char path[512], temporary[520];
	int fd;

	session_path(path, sizeof(path), file);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		rename(temporary, path);
	close(fd);
}

void session_error(const char *what)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	write_session_file("error", text);
	exit(1);
}

char *next_field(char **cursor, char *end)
{
	char *field = *cursor;

	if (field == NULL || field >= end)
		return *cursor = NULL;
	*cursor = field + strlen(field) + 1;
	return field;
}

char **next_list(char **cursor, char *end)
{
	const char *length = next_field(cursor, end);
	size_t count = length == NULL ? 0 : strtoul(length, NULL, 10);
	char **list = count > (size_t)(end - *cursor) ? NULL : calloc(count + 1, sizeof(char *));

	for (size_t i = 0; list != NULL && i < count; i++)
		list[i] = next_field(cursor, end);
	return list;
}

/* Only there so that an alarm ends the system call that waits. */
static void ignore_alarm(int signal)
{
	(void)signal;
}

void begin_session(const char *directory)
{
	struct sigaction on_alarm = {.sa_handler = ignore_alarm};

	sigset_t none;

	session_directory = directory;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGALRM, &on_alarm, NULL);
}

int accept_terminal(void)
{
	int connection;

	alarm(OPEN_TIMEOUT_SECONDS);
	connection = accept4(LISTENER_FD, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (connection < 0)
		session_error("Nobody connected to the terminal");
	alarm(0);
	close(LISTENER_FD);
	return connection;
}

int open_container_device(pid_t init, const char *name, bool (*is_wanted)(dev_t device))
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	char path[64];
	struct stat status;
	int root, found, device = -1;

	snprintf(path, sizeof(path), "/proc/%d/root", init);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	found = syscall(SYS_openat2, root, name, &how, sizeof(how));
	close(root);
	if (found < 0)
		return -1;
	if (fstat(found, &status) == 0 && S_ISCHR(status.st_mode) && is_wanted(status.st_rdev)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
		device = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	}
	close(found);
	return device;
}

void control(void (*on_signal)(unsigned number), int window)
{
	char text[4096];
	ssize_t length = read(CONTROL_FD, text, sizeof(text) - 1);
	char *rest = text, *line;

	if (length <= 0)
		return;
	text[length] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL) {
		unsigned first, second;

		if (sscanf(line, "signal %u", &first) == 1) {
			on_signal(first);
		} else if (sscanf(line, "winsize %u %u", &first, &second) == 2 && window >= 0) {
			struct winsize size = {.ws_col = first, .ws_row = second};

			ioctl(window, TIOCSWINSZ, &size);
		}
	}
}

/* Moves what fits; false at the end of the source or when either side is broken. */
static bool fill(struct buffer *buffer, int from)
{
	ssize_t count;

	if (buffer->start == buffer->end)
		buffer->start = buffer->end = 0;
	if (buffer->end == BUFFER_BYTES)
		return true;
	count = read(from, buffer->bytes + buffer->end, BUFFER_BYTES - buffer->end);
	if (count > 0)
		buffer->end += count;
	return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool drain(struct buffer *buffer, int to)
{
	ssize_t count;

	if (buffer->start == buffer->end)
		return true;
	count = write(to, buffer->bytes + buffer->start, buffer->end - buffer->start);
	if (count > 0)
		buffer->start += count;
	return count > 0 || errno == EAGAIN || errno == EINTR;
}

bool is_empty(const struct buffer *buffer)
{
	return buffer->start == buffer->end;
}

struct buffer to_client, to_terminal;

void flush_terminal(struct streams *streams)
{
	int flags = fcntl(streams->connection, F_GETFL);

	fcntl(streams->connection, F_SETFL, flags & ~O_NONBLOCK);
	alarm(OPEN_TIMEOUT_SECONDS);
	for (;;) {
		bool more = fill(&to_client, streams->master) && !is_empty(&to_client);

		while (!is_empty(&to_client))
			if (!drain(&to_client, streams->connection))
				return;
		if (!more)
			return;
	}
}

void await_terminal(const struct streams *streams, struct pollfd *master, struct pollfd *connection)
{
	master->fd = streams->master;
	master->events = (is_empty(&to_client) ? POLLIN : 0) | (is_empty(&to_terminal) ? 0 : POLLOUT);
	connection->fd = streams->connection;
	connection->events = (is_empty(&to_terminal) ? POLLIN : 0) | (is_empty(&to_client) ? 0 : POLLOUT);
}

bool pump_terminal(struct streams *streams, const struct pollfd *master, const struct pollfd *connection)
{
	bool connected = true, more = true;

	if (master->revents & (POLLIN | POLLHUP))
		more = fill(&to_client, streams->master);
	if (connection->revents & (POLLIN | POLLHUP | POLLERR))
		connected = fill(&to_terminal, streams->connection);
	drain(&to_terminal, streams->master);
	if (connected)
		connected = drain(&to_client, streams->connection);
	if (!connected) {
		/* The client is gone: the hang-up reaches the foreground processes as it would on a modem line. */
		close(streams->connection);
		close(streams->master);
		streams->connection = streams->master = -1;
	}
	return more;
}
