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
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "roost-helper.h"
#include "session.h"

#define PIPE_BYTES (256 * 1024)

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

static bool is_ptmx(dev_t device)
{
	return device == makedev(5, 2);
}

static struct streams open_terminal(const struct spec *spec, pid_t init)
{
	struct winsize size = {.ws_col = spec->width, .ws_row = spec->height};
	struct streams streams = {.connection = accept_terminal()};
	int unlock = 0, terminal;

	/* The container's own devpts, so that `tty` names a device that exists inside. */
	streams.master = open_container_device(init, "dev/pts/ptmx", is_ptmx);
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

static int exit_code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static pid_t child;

static void signal_command(unsigned number)
{
	kill(child, number);
}

static int watch(struct streams *streams, int signals)
{
	for (;;) {
		struct pollfd polled[4] = {
			{.fd = signals, .events = POLLIN},
			{.fd = CONTROL_FD, .events = POLLIN},
		};
		int status;

		await_terminal(streams, &polled[2], &polled[3]);
		/* All terminals of the session closed: a hang-up would be reported without end, so wait for the child alone. */
		if (poll(polled, 4, -1) < 0 && errno != EINTR)
			session_error("Cannot wait for the command");
		if (polled[1].revents & POLLIN)
			control(signal_command, streams->master);
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
	struct lxc_container *container;
	struct streams streams;
	struct spec spec;
	sigset_t blocked;
	char text[64];
	int signals, code;

	begin_session(session);
	spec = read_spec();
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

	code = watch(&streams, signals);
	if (streams.connection >= 0)
		flush_terminal(&streams);
	snprintf(text, sizeof(text), "%d\n", code);
	write_session_file("exit", text);
	return code;
}
