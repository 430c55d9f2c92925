/*
 * roost-files: an SFTP server for the files of one container, or of its volume, on a unix socket.
 *
 *   roost-files SOCKET UID GID running PID START-TICKS    as the running container sees them
 *   roost-files SOCKET UID GID tree PATH MAP mapped|plain a directory that nobody has mounted
 *
 * The process lives in the container's mount and user namespaces (or in one of its own, where the tree is all there is), but not in its pid
 * namespace: nothing inside can see it. It opens regular files and directories only, keeps no privilege but those over files and no system
 * calls but those it needs, and serves each connection in a process of its own. One line, `ready`, on standard output; a byte on standard
 * input counts as use, its end ends all. Without use it ends by itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "roost-files.h"

#define MOST_CONNECTIONS 128
#define IDLE_SECONDS 10
/* How long a process may go on whose client has gone. */
#define GRACE_SECONDS 5

struct client {
	pid_t pid;
	/* A copy of its connection, to see its end; -1 once that was seen. */
	int connection;
	time_t gone_since;
};

static struct client clients[MOST_CONNECTIONS];

static int listen_at(const char *path, uid_t uid, gid_t gid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		errno = ENAMETOOLONG;
	else if (fd >= 0) {
		strcpy(address.sun_path, path);
		umask(0177);
		if (bind(fd, (void *)&address, sizeof(address)) == 0 && chown(path, uid, gid) == 0 && listen(fd, MOST_CONNECTIONS) == 0)
			return fd;
	}
	fail("Cannot listen on %s", path);
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void start_client(int connection)
{
	struct client *client = NULL;
	pid_t pid;

	for (int i = 0; i < MOST_CONNECTIONS && client == NULL; i++)
		if (clients[i].pid == 0)
			client = &clients[i];
	pid = client == NULL ? -1 : fork();
	if (pid == 0) {
		dup2(connection, CONNECTION);
		syscall(SYS_close_range, HOST_PROC + 1, ~0U, 0);
		open_root();
		confine_connection();
		serve_connection();
	}
	if (pid < 0) {
		close(connection);
		return;
	}
	client->pid = pid;
	client->connection = connection;
	client->gone_since = 0;
}

static bool collect(void)
{
	bool busy = false;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (int i = 0; i < MOST_CONNECTIONS; i++)
			if (clients[i].pid == pid) {
				if (clients[i].connection >= 0)
					close(clients[i].connection);
				clients[i].pid = 0;
			}
	for (int i = 0; i < MOST_CONNECTIONS; i++) {
		if (clients[i].pid == 0)
			continue;
		busy = true;
		/* A file system of the container's making may keep a system call waiting for ever. */
		if (clients[i].gone_since != 0 && seconds() - clients[i].gone_since > GRACE_SECONDS)
			kill(clients[i].pid, SIGKILL);
	}
	return busy;
}

static void serve(int listener)
{
	time_t used = seconds();

	for (;;) {
		struct pollfd polled[2 + MOST_CONNECTIONS] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
		char bytes[64];

		/* Without events only a hang-up is told. */
		for (int i = 0; i < MOST_CONNECTIONS; i++)
			polled[2 + i].fd = clients[i].pid == 0 ? -1 : clients[i].connection;
		if (poll(polled, 2 + MOST_CONNECTIONS, 1000) < 0 && errno != EINTR)
			fail("Cannot wait");
		if (polled[0].revents != 0) {
			ssize_t count = read(STDIN_FILENO, bytes, sizeof(bytes));

			if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN))
				kill(0, SIGKILL);
			used = seconds();
		}
		for (int i = 0; i < MOST_CONNECTIONS; i++)
			if (polled[2 + i].fd >= 0 && (polled[2 + i].revents & (POLLHUP | POLLERR))) {
				close(clients[i].connection);
				clients[i].connection = -1;
				clients[i].gone_since = seconds();
			}
		if (polled[1].revents & POLLIN) {
			int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

			if (connection >= 0)
				start_client(connection);
			used = seconds();
		}
		if (collect())
			used = seconds();
		else if (seconds() - used > IDLE_SECONDS)
			return;
	}
}

/* Only there so that the wait ends. */
static void on_child(int signal)
{
	(void)signal;
}

int main(int argc, char **argv)
{
	struct sigaction child = {.sa_handler = on_child};
	const char *verb = argc > 4 ? argv[4] : "";
	int listener;

	if (!(strcmp(verb, "running") == 0 && argc == 7) && !(strcmp(verb, "tree") == 0 && argc == 8)) {
		fprintf(stderr, "roost-files: unknown arguments\n");
		return 2;
	}
	/* One group with the processes of its connections, so that they end together. */
	setpgid(0, 0);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGCHLD, &child, NULL);
	/* The numbers that are somebody's are taken. */
	dup2(STDERR_FILENO, CONNECTION);
	dup2(STDERR_FILENO, HOST_PROC);
	listener = listen_at(argv[1], atoi(argv[2]), atoi(argv[3]));
	umask(0);
	if (strcmp(verb, "running") == 0)
		enter_running(atoi(argv[5]), strtoull(argv[6], NULL, 10));
	else
		enter_tree(argv[5], argv[6], strcmp(argv[7], "mapped") == 0);
	drop_privileges();
	confine_listener();
	if (write(STDOUT_FILENO, "ready\n", 6) != 6)
		return 1;
	close(STDOUT_FILENO);
	serve(listener);
	return 0;
}
