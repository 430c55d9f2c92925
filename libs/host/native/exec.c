/*
 * One command inside a container. This process is the command's parent for as long as it lives, so that a signal can never reach
 * a recycled pid, and it outlives the agent, so that a restarted agent finds the session again.
 *
 * In the session directory: `spec` (what to run, see read_spec), FIFOs `stdin`, `stdout`, `stderr` or the socket `terminal`;
 * written here: `pid` (pid and start time of the command on the host), `exit` (its exit code, by rename) or `error`.
 * Descriptors: 3 the control FIFO; 4 the listening socket of a terminal session, or 4, 5, 6 the ends of stdin, stdout, stderr
 * that keep the FIFOs open until the daemon has opened them. Control lines: `signal N`, `winsize COLUMNS ROWS`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <lxc/attach_options.h>
#include <lxc/lxccontainer.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "roost-helper.h"

#define CONTROL_FD 3
#define FIRST_STREAM_FD 4
#define OPEN_TIMEOUT_SECONDS 30
#define PIPE_BYTES (256 * 1024)
#define BUFFER_BYTES (64 * 1024)

struct spec {
	bool interactive;
	uid_t uid;
	gid_t gid;
	/* Ids on the host of `uid` and `gid`, owners of the streams. */
	uid_t host_uid;
	gid_t host_gid;
	unsigned short width;
	unsigned short height;
	const char *cwd;
	char **environment;
	char **command;
};

struct streams {
	int stdin_fd;
	int stdout_fd;
	int stderr_fd;
	/* Terminal sessions only. */
	int master;
	int connection;
};

struct buffer {
	char bytes[BUFFER_BYTES];
	size_t start;
	size_t end;
};

static const char *session_directory;

static void session_path(char *path, size_t size, const char *file)
{
	snprintf(path, size, "%s/%s", session_directory, file);
}

static void write_session_file(const char *file, const char *text)
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

static void session_error(const char *what)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	write_session_file("error", text);
	exit(1);
}

static char *next_field(char **cursor, char *end)
{
	char *field = *cursor;

	if (field >= end)
		session_error("Session specification is too short");
	*cursor = field + strlen(field) + 1;
	return field;
}

static char **next_list(char **cursor, char *end)
{
	size_t count = strtoul(next_field(cursor, end), NULL, 10);
	char **list = calloc(count + 1, sizeof(char *));

	for (size_t i = 0; list != NULL && i < count; i++)
		list[i] = next_field(cursor, end);
	return list;
}

/* Fields end in NUL: interactive, uid, gid, host uid, host gid, width, height, cwd, count and texts of environment and command. */
static struct spec read_spec(void)
{
	char path[512];
	struct spec spec = {0};
	struct stat status;
	char *cursor, *end;
	int fd;

	session_path(path, sizeof(path), "spec");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		session_error("Cannot open the session specification");
	cursor = calloc(1, status.st_size + 1);
	if (cursor == NULL || read(fd, cursor, status.st_size) != status.st_size)
		session_error("Cannot read the session specification");
	close(fd);
	end = cursor + status.st_size;
	spec.interactive = next_field(&cursor, end)[0] == '1';
	spec.uid = strtoul(next_field(&cursor, end), NULL, 10);
	spec.gid = strtoul(next_field(&cursor, end), NULL, 10);
	spec.host_uid = strtoul(next_field(&cursor, end), NULL, 10);
	spec.host_gid = strtoul(next_field(&cursor, end), NULL, 10);
	spec.width = strtoul(next_field(&cursor, end), NULL, 10);
	spec.height = strtoul(next_field(&cursor, end), NULL, 10);
	spec.cwd = next_field(&cursor, end);
	spec.environment = next_list(&cursor, end);
	spec.command = next_list(&cursor, end);
	return spec;
}

static void ignore_alarm(int signal)
{
	(void)signal;
}

/*
 * Waits until the daemon has opened the other end. `held` is an end that the agent opened, so that the daemon sees no end of file
 * before the command starts.
 */
static int open_stream(const char *file, int held)
{
	char path[512];
	int fd;

	session_path(path, sizeof(path), file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		session_error("Nobody opened the command's streams");
	fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
	close(held);
	return fd;
}

/*
 * Nothing tells a reader whether a writer has come, except an open that waits for one; and nothing tells that open of a writer that
 * came and went before, except a hang-up on an end that was open meanwhile. So both are asked in turn, a timer ending the open.
 */
static void await_writer(int held)
{
	struct itimerval often = {.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000}, never = {0};
	char path[512];

	session_path(path, sizeof(path), "stdin");
	setitimer(ITIMER_REAL, &often, NULL);
	for (int tries = 0; tries < OPEN_TIMEOUT_SECONDS * 200; tries++) {
		struct pollfd end = {.fd = held, .events = POLLIN};
		int fd;

		if (poll(&end, 1, 0) == 1)
			break;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			close(fd);
			break;
		}
		if (errno != EINTR)
			session_error("Cannot open the command's input");
	}
	setitimer(ITIMER_REAL, &never, NULL);
}

static struct streams open_fifos(const struct spec *spec)
{
	struct streams streams = {.stdin_fd = FIRST_STREAM_FD, .master = -1, .connection = -1};

	await_writer(streams.stdin_fd);
	alarm(OPEN_TIMEOUT_SECONDS);
	streams.stdout_fd = open_stream("stdout", FIRST_STREAM_FD + 1);
	streams.stderr_fd = open_stream("stderr", FIRST_STREAM_FD + 2);
	alarm(0);
	fcntl(streams.stdin_fd, F_SETFL, 0);
	/* Both ends are open, so the name's owner no longer matters; the command may now open /dev/stdout again. */
	if (fchown(streams.stdin_fd, spec->host_uid, spec->host_gid) < 0 || fchown(streams.stdout_fd, spec->host_uid, spec->host_gid) < 0 ||
	    fchown(streams.stderr_fd, spec->host_uid, spec->host_gid) < 0)
		session_error("Cannot give the streams to the command's user");
	return streams;
}

/*
 * The container's own devpts, so that `tty` names a device that exists inside. Everything below its root is under its control:
 * the look-up cannot leave that root, and what is found must be the pty multiplexer.
 */
static int open_container_ptmx(pid_t init)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	char path[64];
	struct stat status;
	int root, found, master = -1;

	snprintf(path, sizeof(path), "/proc/%d/root", init);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	found = syscall(SYS_openat2, root, "dev/pts/ptmx", &how, sizeof(how));
	close(root);
	if (found < 0)
		return -1;
	if (fstat(found, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 2)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
		master = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	}
	close(found);
	return master;
}

static struct streams open_terminal(const struct spec *spec, pid_t init)
{
	struct winsize size = {.ws_col = spec->width, .ws_row = spec->height};
	struct streams streams = {0};
	int unlock = 0, terminal;

	alarm(OPEN_TIMEOUT_SECONDS);
	streams.connection = accept4(FIRST_STREAM_FD, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (streams.connection < 0)
		session_error("Nobody connected to the terminal");
	alarm(0);
	close(FIRST_STREAM_FD);
	streams.master = open_container_ptmx(init);
	if (streams.master < 0)
		streams.master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (streams.master < 0 || ioctl(streams.master, TIOCSPTLCK, &unlock) < 0)
		session_error("Cannot open a terminal");
	terminal = ioctl(streams.master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0)
		session_error("Cannot open the terminal's other end");
	if (size.ws_col != 0 && size.ws_row != 0)
		ioctl(streams.master, TIOCSWINSZ, &size);
	if (fchown(terminal, spec->host_uid, -1) < 0)
		session_error("Cannot give the terminal to the command's user");
	fcntl(streams.master, F_SETFL, O_NONBLOCK);
	streams.stdin_fd = streams.stdout_fd = streams.stderr_fd = terminal;
	return streams;
}

/* Runs inside the container. 127 and 126 are what a shell reports for a command that is absent or cannot be run. */
static int run_command(void *payload)
{
	const struct spec *spec = payload;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	if (spec->interactive) {
		setsid();
		ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	}
	execvp(spec->command[0], spec->command);
	_exit(errno == ENOENT || errno == ENOTDIR ? 127 : 126);
}

static pid_t attach(struct lxc_container *container, struct spec *spec, struct streams *streams)
{
	lxc_attach_options_t options = LXC_ATTACH_OPTIONS_DEFAULT;
	pid_t pid = -1;

	options.env_policy = LXC_ATTACH_CLEAR_ENV;
	options.extra_env_vars = spec->environment;
	options.uid = spec->uid;
	options.gid = spec->gid;
	options.initial_cwd = (char *)spec->cwd;
	options.stdin_fd = streams->stdin_fd;
	options.stdout_fd = streams->stdout_fd;
	options.stderr_fd = streams->stderr_fd;
	if (container->attach(container, run_command, spec, &options, &pid) < 0 || pid < 0)
		session_error("Cannot enter the container");
	close(streams->stdin_fd);
	if (streams->stdout_fd != streams->stdin_fd)
		close(streams->stdout_fd);
	if (streams->stderr_fd != streams->stdin_fd)
		close(streams->stderr_fd);
	return pid;
}

/* Field 22 of /proc/PID/stat, after the command's name in parentheses. */
static unsigned long long start_time(pid_t pid)
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

static void control(pid_t child, int master)
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
			kill(child, first);
		} else if (sscanf(line, "winsize %u %u", &first, &second) == 2 && master >= 0) {
			struct winsize size = {.ws_col = first, .ws_row = second};

			ioctl(master, TIOCSWINSZ, &size);
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

static bool is_empty(const struct buffer *buffer)
{
	return buffer->start == buffer->end;
}

static struct buffer to_client, to_terminal;

/* What the command wrote before it ended still has to reach the client. */
static void flush_terminal(struct streams *streams)
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

static void pump_terminal(struct streams *streams, const struct pollfd *master, const struct pollfd *connection)
{
	bool connected = true;

	if (master->revents & (POLLIN | POLLHUP))
		fill(&to_client, streams->master);
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
}

static int exit_code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int watch(pid_t child, struct streams *streams, int signals)
{
	for (;;) {
		struct pollfd polled[4] = {
			{.fd = signals, .events = POLLIN},
			{.fd = CONTROL_FD, .events = POLLIN},
			{.fd = streams->master, .events = is_empty(&to_client) ? POLLIN : 0},
			{.fd = streams->connection, .events = is_empty(&to_terminal) ? POLLIN : 0},
		};
		int status;

		if (!is_empty(&to_client))
			polled[3].events |= POLLOUT;
		if (!is_empty(&to_terminal))
			polled[2].events |= POLLOUT;
		/* All terminals of the session closed: a hang-up would be reported without end, so wait for the child alone. */
		if (poll(polled, 4, -1) < 0 && errno != EINTR)
			session_error("Cannot wait for the command");
		if (polled[1].revents & POLLIN)
			control(child, streams->master);
		if (streams->connection >= 0)
			pump_terminal(streams, &polled[2], &polled[3]);
		if (polled[0].revents & POLLIN) {
			struct signalfd_siginfo ignored;

			if (read(signals, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
				session_error("Cannot read signals");
			if (waitpid(child, &status, WNOHANG) == child)
				return exit_code_of(status);
		}
		if ((polled[2].revents & POLLHUP) && is_empty(&to_client)) {
			struct pollfd quiet[2] = {polled[0], polled[1]};

			poll(quiet, 2, 20);
		}
	}
}

int exec_session(const char *session, const char *lxcpath, const char *name)
{
	struct sigaction on_alarm = {.sa_handler = ignore_alarm};
	struct lxc_container *container;
	struct streams streams;
	struct spec spec;
	sigset_t blocked;
	char text[64];
	int signals, code;
	pid_t child;

	session_directory = session;
	/* Whatever else the agent had open without meaning it must not reach the container. */
	syscall(SYS_close_range, FIRST_STREAM_FD + 3, ~0U, 0);
	for (int fd = CONTROL_FD; fd <= FIRST_STREAM_FD + 2; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	spec = read_spec();
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGALRM, &on_alarm, NULL);
	container = lxc_container_new(name, lxcpath);
	if (container == NULL)
		session_error("Cannot load the container's configuration");

	streams = spec.interactive ? open_terminal(&spec, container->init_pid(container)) : open_fifos(&spec);

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signals = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	child = attach(container, &spec, &streams);
	snprintf(text, sizeof(text), "%d %llu\n", child, start_time(child));
	write_session_file("pid", text);

	code = watch(child, &streams, signals);
	if (streams.connection >= 0)
		flush_terminal(&streams);
	snprintf(text, sizeof(text), "%d\n", code);
	write_session_file("exit", text);
	return code;
}
