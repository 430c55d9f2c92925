/*
 * The console of a running container, as a terminal session without a command: see exec.c for the directory and the descriptors. LXC's
 * monitor keeps the console for one client at a time, until the descriptor that it gave is closed; any signal ends the session.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <lxc/lxccontainer.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "roost-helper.h"
#include "session.h"

static bool ended;

static void end_session(unsigned number)
{
	(void)number;
	ended = true;
}

/* Unix98 terminals have the majors 136 to 143. */
static bool is_terminal(dev_t device)
{
	return major(device) >= 136 && major(device) <= 143;
}

static void carry(struct streams *streams, int window)
{
	while (!ended && streams->connection >= 0) {
		struct pollfd polled[3] = {{.fd = CONTROL_FD, .events = POLLIN}};

		await_terminal(streams, &polled[1], &polled[2]);
		if (poll(polled, 3, -1) < 0 && errno != EINTR)
			session_error("Cannot wait for the console");
		if (polled[0].revents & POLLIN)
			control(end_session, window);
		if (!pump_terminal(streams, &polled[1], &polled[2]))
			break;
	}
}

int console_session(const struct session *session)
{
	struct streams streams = {0};
	struct lxc_container *container;
	struct winsize size = {0};
	int console = 0, window;

	begin_session(session->directory);
	container = lxc_container_new(session->name, session->lxcpath);
	if (container == NULL)
		session_error("Cannot load the container's configuration");
	streams.connection = accept_terminal();
	if (container->console_getfd(container, &console, &streams.master) < 0) {
		errno = EBUSY;
		session_error("Cannot attach to the console");
	}
	/* What is given is a terminal between the monitor and us; the window is that of the container's end. */
	window = open_container_device(container->init_pid(container), "dev/console", is_terminal);
	size.ws_col = session->spec.width;
	size.ws_row = session->spec.height;
	if (window >= 0)
		ioctl(window, TIOCSWINSZ, &size);
	fcntl(streams.master, F_SETFL, O_NONBLOCK);
	carry(&streams, window);
	if (streams.connection >= 0 && !ended)
		flush_terminal(&streams);
	write_session_file("exit", "0\n");
	return 0;
}

/*
 * What a running container's console showed last: LXC's monitor keeps it in a ring, which it appends to the log when the container ends. Written to standard
 * output, or emptied. Nothing in it is success.
 */
int console_ring(const char *lxcpath, const char *name, bool clear)
{
	uint64_t length = 0;
	struct lxc_console_log log = {.clear = clear, .read = !clear, .read_max = &length};
	struct lxc_container *container = lxc_container_new(name, lxcpath);
	int result;

	if (container == NULL) {
		fprintf(stderr, "Cannot load the container's configuration\n");
		return 1;
	}
	result = container->console_log(container, &log);
	if (result < 0 && result != -ENODATA) {
		fprintf(stderr, "Cannot ask for the console's log: %s\n", strerror(-result));
		return 1;
	}
	if (result == 0 && !clear && length > 0 && fwrite(log.data, 1, length, stdout) != length)
		return 1;
	return fflush(stdout) == 0 ? 0 : 1;
}
