/*
 * The server of sessions: a child of the agent that has liblxc loaded and forks for each session, which saves starting a program and linking
 * ten libraries every time. Sessions outlive it, as they outlive the agent.
 *
 * On standard input: requests, each its length (32 bits, little endian) and then fields that end in NUL: id, `exec` or `console`, directory,
 * lxcpath, name, uid and gid of who opens the ends outside, then those of `struct spec` in order.
 * On standard output, a line each: `started ID PID START-TICKS`, `failed ID WHY`, `ended ID STATUS` (as wait(2) has it).
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "roost-helper.h"
#include "session.h"

#define LONGEST_REQUEST (16 * 1024 * 1024)
#define LONGEST_ID 64

struct request {
	const char *id;
	bool is_console;
	uid_t endpoint_uid;
	gid_t endpoint_gid;
	struct session session;
};

/* A session that runs, so that its end can be told by its name. */
struct running {
	struct running *next;
	pid_t pid;
	char id[LONGEST_ID];
};

static struct running *running;

/* Lines are shorter than PIPE_BUF. Without a reader there is no agent, and the end of input ends us. */
static void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void answer(const char *format, ...)
{
	va_list arguments;
	char line[1024];
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof(line))
		line[length = sizeof(line) - 1] = '\n';
	if (write(STDOUT_FILENO, line, length) < 0 && errno != EPIPE)
		fail("Cannot answer");
}

static unsigned long number(char **cursor, char *end)
{
	const char *field = next_field(cursor, end);

	return field == NULL ? 0 : strtoul(field, NULL, 10);
}

/* False for one that is too short. */
static bool parse(char *cursor, char *end, struct request *request)
{
	struct spec *spec = &request->session.spec;
	const char *verb, *streams;

	request->id = next_field(&cursor, end);
	verb = next_field(&cursor, end);
	request->is_console = verb != NULL && strcmp(verb, "console") == 0;
	request->session.directory = next_field(&cursor, end);
	request->session.lxcpath = next_field(&cursor, end);
	request->session.name = next_field(&cursor, end);
	request->endpoint_uid = number(&cursor, end);
	request->endpoint_gid = number(&cursor, end);
	spec->interactive = number(&cursor, end) == 1;
	streams = next_field(&cursor, end);
	spec->ends = streams == NULL || strcmp(streams, "none") == 0 ? ENDS_NONE : strcmp(streams, "output") == 0 ? ENDS_OUTPUT : ENDS_ALL;
	spec->uid = number(&cursor, end);
	spec->gid = number(&cursor, end);
	spec->host_uid = number(&cursor, end);
	spec->host_gid = number(&cursor, end);
	spec->width = number(&cursor, end);
	spec->height = number(&cursor, end);
	spec->cwd = next_field(&cursor, end);
	spec->environment = next_list(&cursor, end);
	spec->command = next_list(&cursor, end);
	return cursor != NULL && spec->environment != NULL && spec->command != NULL;
}

static bool join(char *path, size_t size, const char *directory, const char *name)
{
	return snprintf(path, size, "%s/%s", directory, name) < (int)size;
}

/* A FIFO open both ways. */
static int make_fifo(const char *directory, const char *name, uid_t uid, gid_t gid)
{
	char path[512];
	int fd;

	if (!join(path, sizeof(path), directory, name) || mkfifo(path, 0600) < 0)
		return -1;
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && fchown(fd, uid, gid) == 0)
		return fd;
	close(fd);
	return -1;
}

/* A FIFO open for reading alone, so that a writer that came and went leaves a hang-up. */
static int make_gate(const char *directory, uid_t uid, gid_t gid)
{
	char path[512];
	int fd;

	if (!join(path, sizeof(path), directory, "gate") || mkfifo(path, 0600) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && fchown(fd, uid, gid) == 0)
		return fd;
	close(fd);
	return -1;
}

static int make_terminal(const char *directory, uid_t uid, gid_t gid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (join(address.sun_path, sizeof(address.sun_path), directory, "terminal") && bind(fd, (void *)&address, sizeof(address)) == 0 &&
	    chmod(address.sun_path, 0600) == 0 && chown(address.sun_path, uid, gid) == 0 && listen(fd, 1) == 0)
		return fd;
	close(fd);
	return -1;
}

/* What the session finds at CONTROL_FD and on; -1 where it finds nothing. */
static bool make_ends(const struct request *request, int ends[FIRST_FREE_FD])
{
	const char *directory = request->session.directory;
	const struct spec *spec = &request->session.spec;
	uid_t uid = request->endpoint_uid;
	gid_t gid = request->endpoint_gid;

	if (mkdir(directory, 0711) < 0)
		return false;
	ends[CONTROL_FD] = make_fifo(directory, "control", 0, 0);
	if (ends[CONTROL_FD] < 0)
		return false;
	if (spec->interactive)
		return (ends[LISTENER_FD] = make_terminal(directory, uid, gid)) >= 0;
	if (spec->ends == ENDS_NONE)
		return true;
	if (spec->ends == ENDS_ALL && (ends[STDIN_FD] = make_fifo(directory, "stdin", uid, gid)) < 0)
		return false;
	return (ends[STDOUT_FD] = make_fifo(directory, "stdout", uid, gid)) >= 0 && (ends[STDERR_FD] = make_fifo(directory, "stderr", uid, gid)) >= 0 &&
	       (ends[GATE_FD] = make_gate(directory, uid, gid)) >= 0;
}

static void run_session(const struct request *request, const int ends[FIRST_FREE_FD])
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Neither the server's pipes nor other sessions' ends must live on here, or reach the container. */
	for (int fd = 0; fd < CONTROL_FD; fd++)
		dup2(null, fd);
	for (int fd = CONTROL_FD; fd < FIRST_FREE_FD; fd++)
		if (ends[fd] >= 0)
			dup3(ends[fd], fd, O_CLOEXEC);
	syscall(SYS_close_range, FIRST_FREE_FD, ~0U, 0);
	setsid();
	_exit(request->is_console ? console_session(&request->session) : exec_session(&request->session));
}

static void write_stamp(const char *directory, pid_t pid, unsigned long long ticks)
{
	char path[512];
	int fd;

	if (!join(path, sizeof(path), directory, "helper"))
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	dprintf(fd, "%d %llu\n", pid, ticks);
	close(fd);
}

static void start(char *text, size_t length)
{
	int ends[FIRST_FREE_FD] = {-1, -1, -1, -1, -1, -1, -1, -1};
	struct running *entry = calloc(1, sizeof(*entry));
	struct request request = {0};
	unsigned long long ticks;
	pid_t pid = -1;

	if (entry == NULL || !parse(text, text + length, &request) || strlen(request.id) >= LONGEST_ID)
		fail("Cannot understand a request");
	if (make_ends(&request, ends)) {
		pid = fork();
		if (pid == 0)
			run_session(&request, ends);
	}
	if (pid < 0) {
		answer("failed %s Cannot start a session: %s\n", request.id, strerror(errno));
		free(entry);
	} else {
		ticks = start_time(pid);
		write_stamp(request.session.directory, pid, ticks);
		entry->pid = pid;
		strcpy(entry->id, request.id);
		entry->next = running;
		running = entry;
		answer("started %s %d %llu\n", request.id, pid, ticks);
	}
	for (int fd = CONTROL_FD; fd < FIRST_FREE_FD; fd++)
		if (ends[fd] >= 0)
			close(ends[fd]);
	free(request.session.spec.environment);
	free(request.session.spec.command);
}

static void collect(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (struct running **link = &running; *link != NULL; link = &(*link)->next) {
			struct running *entry = *link;

			if (entry->pid != pid)
				continue;
			answer("ended %s %d\n", entry->id, status);
			*link = entry->next;
			free(entry);
			break;
		}
	}
}

/* False at the end of input. */
static bool receive(void)
{
	static char *buffer;
	static size_t filled, size;
	size_t taken = 0;
	ssize_t count;

	if (size - filled < 4096) {
		size = size == 0 ? 64 * 1024 : size * 2;
		buffer = realloc(buffer, size);
		if (buffer == NULL)
			fail("No memory");
	}
	count = read(STDIN_FILENO, buffer + filled, size - filled);
	if (count <= 0)
		return count < 0 && (errno == EINTR || errno == EAGAIN);
	filled += count;
	for (uint32_t length; filled - taken >= sizeof(length); taken += sizeof(length) + length) {
		memcpy(&length, buffer + taken, sizeof(length));
		length = le32toh(length);
		if (length == 0 || length > LONGEST_REQUEST)
			fail("Cannot understand a request");
		if (filled - taken - sizeof(length) < length)
			break;
		/* Every field ends in NUL, or the last would run into the next request. */
		if (buffer[taken + sizeof(length) + length - 1] != '\0')
			fail("Cannot understand a request");
		start(buffer + taken + sizeof(length), length);
		/* Environments hold secrets, and what is in our memory is in that of every session to come. */
		explicit_bzero(buffer + taken, sizeof(length) + length);
	}
	filled -= taken;
	memmove(buffer, buffer + taken, filled);
	explicit_bzero(buffer + filled, taken);
	return true;
}

int serve_sessions(void)
{
	struct pollfd polled[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
	sigset_t blocked;

	/* The numbers that a session uses are taken, so that what is made for one never has them itself. */
	for (int fd = CONTROL_FD; fd < FIRST_FREE_FD; fd++)
		dup2(STDERR_FILENO, fd);
	syscall(SYS_close_range, FIRST_FREE_FD, ~0U, 0);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	polled[1].fd = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	if (polled[1].fd < 0)
		fail("Cannot watch for ends");
	for (;;) {
		struct signalfd_siginfo ignored;

		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			fail("Cannot wait");
		if ((polled[1].revents & POLLIN) && read(polled[1].fd, &ignored, sizeof(ignored)) > 0)
			collect();
		if ((polled[0].revents & (POLLIN | POLLHUP)) && !receive())
			return 0;
	}
}
