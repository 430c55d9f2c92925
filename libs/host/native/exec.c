/*
 * One command inside a container. This process is the command's parent for as long as it lives, so that a signal can never reach
 * a recycled pid, and it outlives the agent, so that a restarted agent finds the session again.
 *
 * In the session directory: FIFOs `stdin`, `stdout`, `stderr` (those that have an end outside) and `gate`, or the socket `terminal`; `control`,
 * a FIFO; `helper`, pid and start time of this process; written here: `pid` (pid and start time of the command on the host), `exit` (its exit
 * code, by rename) or `error`. Control lines: `signal N`, `winsize COLUMNS ROWS`.
 *
 * The FIFOs are held open both ways (STDIN_FD and on) until the daemon has opened its ends, so that nobody meets an end of file or a broken
 * pipe too early. The daemon says so by opening the gate for writing and closing it. Meanwhile the container is entered already, and the command
 * waits before its first instruction.
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
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "roost-helper.h"
#include "session.h"

#define PIPE_BYTES (256 * 1024)

static pid_t child;

static void signal_command(unsigned number)
{
	kill(child, number);
}

/* The command waits here: one byte lets it go, an end of file means that it must not start. */
static int start_pipe[2] = {-1, -1};

static int open_end(const char *file, int flags)
{
	char path[512];
	int fd;

	session_path(path, sizeof(path), file);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		session_error("Cannot open the command's streams");
	fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
	return fd;
}

/* The command's ends; -1 is nowhere. Those held open meanwhile are why none of these opens waits. */
static struct streams open_fifos(const struct spec *spec)
{
	struct streams streams = {.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .master = -1, .connection = -1};

	if (spec->ends == ENDS_ALL)
		streams.stdin_fd = open_end("stdin", O_RDONLY);
	if (spec->ends != ENDS_NONE) {
		streams.stdout_fd = open_end("stdout", O_WRONLY);
		streams.stderr_fd = open_end("stderr", O_WRONLY);
		if (pipe2(start_pipe, O_CLOEXEC) < 0)
			session_error("Cannot make a pipe");
	}
	return streams;
}

/* A hang-up there says that a writer came and went. Signals go to the command meanwhile. */
static bool await_gate(void)
{
	for (int waited_ms = 0; waited_ms < OPEN_TIMEOUT_SECONDS * 1000; waited_ms += 1000) {
		struct pollfd polled[2] = {{.fd = GATE_FD, .events = POLLIN}, {.fd = CONTROL_FD, .events = POLLIN}};

		if (poll(polled, 2, 1000) <= 0)
			continue;
		if (polled[1].revents & POLLIN)
			control(signal_command, -1);
		if (polled[0].revents != 0)
			return true;
	}
	return false;
}

/* Called when the command is ready inside the container; it runs on from here. */
static void let_go(const struct spec *spec)
{
	if (spec->ends == ENDS_NONE)
		return;
	if (!await_gate()) {
		kill(child, SIGKILL);
		errno = ETIMEDOUT;
		session_error("Nobody opened the command's streams");
	}
	/* Both ends are open, so the name's owner no longer matters; the command may now open /dev/stdout again. */
	for (int fd = STDIN_FD; fd <= STDERR_FD; fd++) {
		if (fd == STDIN_FD && spec->ends != ENDS_ALL)
			continue;
		if (fchown(fd, spec->host_uid, spec->host_gid) < 0)
			session_error("Cannot give the streams to the command's user");
		close(fd);
	}
	close(GATE_FD);
	/* A command that was killed while it waited is an end like any other. */
	(void)!write(start_pipe[1], "", 1);
	close(start_pipe[0]);
	close(start_pipe[1]);
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

/* The container's own /dev/null, which the command may open again by its name; the host's, if there is none, it may not. */
static void use_own_null(const struct spec *spec)
{
	int last = spec->interactive || spec->ends == ENDS_ALL ? -1 : spec->ends == ENDS_OUTPUT ? STDIN_FILENO : STDERR_FILENO;

	for (int fd = STDIN_FILENO; fd <= last; fd++) {
		int null = open("/dev/null", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		struct stat status;

		if (null >= 0 && fstat(null, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3)) {
			fcntl(null, F_SETFL, 0);
			dup2(null, fd);
		}
	}
}

/* Runs inside the container. 127 and 126 are what a shell reports for a command that is absent or cannot be run. */
static int run_command(void *payload)
{
	const struct spec *spec = payload;
	sigset_t none;

	if (start_pipe[0] >= 0) {
		char go;

		close(start_pipe[1]);
		if (read(start_pipe[0], &go, 1) != 1)
			_exit(126);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	use_own_null(spec);
	if (spec->interactive) {
		setsid();
		ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	}
	execvp(spec->command[0], spec->command);
	_exit(errno == ENOENT || errno == ENOTDIR ? 127 : 126);
}

/* The standard descriptors of this process are /dev/null. */
static int or_null(int stream, int standard)
{
	return stream >= 0 ? stream : standard;
}

static void close_stream(int fd)
{
	if (fd >= 0)
		close(fd);
}

static pid_t attach(struct lxc_container *container, const struct spec *spec, struct streams *streams)
{
	lxc_attach_options_t options = LXC_ATTACH_OPTIONS_DEFAULT;
	pid_t pid = -1;

	options.env_policy = LXC_ATTACH_CLEAR_ENV;
	options.extra_env_vars = spec->environment;
	options.uid = spec->uid;
	options.gid = spec->gid;
	options.initial_cwd = (char *)spec->cwd;
	options.stdin_fd = or_null(streams->stdin_fd, STDIN_FILENO);
	options.stdout_fd = or_null(streams->stdout_fd, STDOUT_FILENO);
	options.stderr_fd = or_null(streams->stderr_fd, STDERR_FILENO);
	if (container->attach(container, run_command, (void *)spec, &options, &pid) < 0 || pid < 0)
		session_error("Cannot enter the container");
	close_stream(streams->stdin_fd);
	if (streams->stdout_fd != streams->stdin_fd)
		close_stream(streams->stdout_fd);
	if (streams->stderr_fd != streams->stdin_fd)
		close_stream(streams->stderr_fd);
	return pid;
}

static int exit_code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
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

int exec_session(const struct session *session)
{
	const struct spec *spec = &session->spec;
	struct lxc_container *container;
	struct streams streams;
	sigset_t blocked;
	char text[64];
	int signals, code;

	begin_session(session->directory);
	container = lxc_container_new(session->name, session->lxcpath);
	if (container == NULL)
		session_error("Cannot load the container's configuration");

	streams = spec->interactive ? open_terminal(spec, container->init_pid(container)) : open_fifos(spec);

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signals = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	child = attach(container, spec, &streams);
	snprintf(text, sizeof(text), "%d %llu\n", child, start_time(child));
	write_session_file("pid", text);
	if (!spec->interactive)
		let_go(spec);

	code = watch(&streams, signals);
	if (streams.connection >= 0)
		flush_terminal(&streams);
	snprintf(text, sizeof(text), "%d\n", code);
	write_session_file("exit", text);
	return code;
}
