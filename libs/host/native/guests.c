/*
 * The door of the guest API: listens on the socket that containers see as /dev/lxd/sock, finds out which container a caller is in, and passes
 * the bytes on to the daemon, behind one line that says who it is: `NAME UID\n`. A process of its own, so that what a container does to it takes
 * time from neither agent nor daemon: it is nicer to the processor than both, a container has few connections at a time, and new ones beyond a
 * rate wait. Ends when its standard input does.
 *
 * A caller is told by the process that connected, held by a pidfd (of the socket itself where the kernel has that), and by the cgroup this
 * process is in, which nothing inside a container can leave.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "roost-helper.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define BUFFER (16 * 1024)
#define LONGEST_NAME 256
/* Of one container at a time, and of all. */
#define CONNECTIONS_EACH 32
#define CONNECTIONS_ALL 8192
/* New conversations with the daemon: so many a second for each container, and so many at once after a rest. */
#define RATE 100
#define BURST 200
/* How long a caller waits for a daemon that is being started again. */
#define PATIENCE_MS 15000
#define TICK_MS 50
#define NICENESS 5
/* Refused connections that are kept open, so that the caller can still ask in vain. */
#define REFUSED_KEPT 64

struct guest {
	struct guest *next;
	int connections;
	double tokens;
	uint64_t refilled;
	char name[LONGEST_NAME];
};

/* Bytes on their way in one direction. */
struct pipe {
	char *bytes;
	int first, last;
	bool ended, passed_on;
};

struct end {
	struct talk *talk;
	int fd;
	uint32_t events;
};

struct talk {
	struct talk *previous, *next;
	struct guest *guest;
	struct end caller, daemon;
	struct pipe in, out;
	uint64_t since;
	bool waiting, dead;
	char hello[LONGEST_NAME + 32];
};

static struct talk *talks;
static struct guest *guests;
static int talk_count, waiting_count, dead_count;
static int poller;
static const char *daemon_path, *cgroup_root;
static uid_t daemon_uid;

static uint64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000ULL + time.tv_nsec / 1000000;
}

static struct guest *guest_named(const char *name)
{
	struct guest *guest;

	for (guest = guests; guest != NULL; guest = guest->next)
		if (strcmp(guest->name, name) == 0)
			return guest;
	guest = calloc(1, sizeof(*guest));
	if (guest == NULL)
		return NULL;
	strcpy(guest->name, name);
	guest->tokens = BURST;
	guest->refilled = now_ms();
	guest->next = guests;
	guests = guest;
	return guest;
}

static bool take_token(struct guest *guest)
{
	uint64_t now = now_ms();

	guest->tokens += (now - guest->refilled) * (RATE / 1000.0);
	guest->refilled = now;
	if (guest->tokens > BURST)
		guest->tokens = BURST;
	if (guest->tokens < 1)
		return false;
	guest->tokens--;
	return true;
}

/* The part of a cgroup's path that names the container, when the path is one of ours. */
static bool name_in(const char *path, char *name)
{
	size_t root = strlen(cgroup_root);
	const char *start, *end;

	if (path[0] != '/' || strncmp(path + 1, cgroup_root, root) != 0 || path[1 + root] != '/')
		return false;
	start = path + 2 + root;
	end = strchr(start, '/');
	if (end == NULL || end == start || end - start >= LONGEST_NAME || strncmp(end, "/payload", 8) != 0)
		return false;
	memcpy(name, start, end - start);
	name[end - start] = '\0';
	return true;
}

static bool find_name(pid_t pid, char *name)
{
	char path[64], line[4096];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		char *colon = strchr(line, ':');

		colon = colon == NULL ? NULL : strchr(colon + 1, ':');
		found = colon != NULL && name_in(colon + 1, name);
	}
	fclose(file);
	return found;
}

/* Who called, or NULL for a process that is in none of our containers. */
static struct guest *identify(int fd, uid_t *uid)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);
	char name[LONGEST_NAME];
	int pidfd = -1;
	bool found;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0 || credentials.pid <= 0)
		return NULL;
	length = sizeof(pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) < 0)
		pidfd = syscall(SYS_pidfd_open, credentials.pid, 0);
	if (pidfd < 0)
		return NULL;
	/* As long as the process of the pidfd exists, its number is nobody else's. */
	found = find_name(credentials.pid, name) && syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0;
	close(pidfd);
	*uid = credentials.uid;
	return found ? guest_named(name) : NULL;
}

/* Connections that were refused, until others take their places. */
static int refused[REFUSED_KEPT] = {[0 ... REFUSED_KEPT - 1] = -1};
static int next_refused;

static void refuse(int fd, const char *status, const char *text)
{
	char answer[512];
	int length = snprintf(answer, sizeof(answer),
			      "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
			      status, strlen(text) + 1, text);

	/* What the caller does not take is its loss. */
	if (send(fd, answer, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		errno = 0;
	shutdown(fd, SHUT_WR);
	/* It may not have asked yet, and asking must not fail: the connection ends with the next ones that are refused, which bounds how many there are. */
	if (refused[next_refused] >= 0)
		close(refused[next_refused]);
	refused[next_refused] = fd;
	next_refused = (next_refused + 1) % REFUSED_KEPT;
}

static void watch(struct end *end, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = end};

	if (end->fd < 0 || end->events == events)
		return;
	epoll_ctl(poller, EPOLL_CTL_MOD, end->fd, &event);
	end->events = events;
}

static bool start_watching(struct end *end, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = end};

	end->events = events;
	return epoll_ctl(poller, EPOLL_CTL_ADD, end->fd, &event) == 0;
}

/* Freed after the events that were collected with it: they may name it again. */
static void finish(struct talk *talk)
{
	if (talk->dead)
		return;
	talk->dead = true;
	dead_count++;
	if (talk->caller.fd >= 0)
		close(talk->caller.fd);
	if (talk->daemon.fd >= 0)
		close(talk->daemon.fd);
	talk->caller.fd = talk->daemon.fd = -1;
	talk->guest->connections--;
	talk_count--;
	if (talk->waiting)
		waiting_count--;
	talk->waiting = false;
}

static void forget_talks(void)
{
	for (struct talk *talk = talks, *next; dead_count > 0 && talk != NULL; talk = next) {
		next = talk->next;
		if (!talk->dead)
			continue;
		if (talk->previous != NULL)
			talk->previous->next = next;
		else
			talks = next;
		if (next != NULL)
			next->previous = talk->previous;
		dead_count--;
		free(talk->in.bytes);
		free(talk->out.bytes);
		free(talk);
	}
}

/* Those who have been away long enough to be strangers again. */
static void forget_guests(void)
{
	for (struct guest **link = &guests; *link != NULL;) {
		struct guest *guest = *link;

		if (guest->connections > 0 || now_ms() - guest->refilled < BURST * 1000 / RATE) {
			link = &guest->next;
			continue;
		}
		*link = guest->next;
		free(guest);
	}
}

static void welcome(int listener)
{
	struct talk *talk;
	struct guest *guest;
	uid_t uid = 0;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	guest = identify(fd, &uid);
	if (guest == NULL)
		return refuse(fd, "500 Internal Server Error", "pid not in container?");
	if (guest->connections >= CONNECTIONS_EACH || talk_count >= CONNECTIONS_ALL)
		return refuse(fd, "503 Service Unavailable", "too many connections");
	talk = calloc(1, sizeof(*talk));
	if (talk == NULL)
		return refuse(fd, "503 Service Unavailable", "no memory");
	talk->guest = guest;
	talk->caller = (struct end){.talk = talk, .fd = fd};
	talk->daemon = (struct end){.talk = talk, .fd = -1};
	snprintf(talk->hello, sizeof(talk->hello), "%s %u\n", guest->name, uid);
	talk->next = talks;
	if (talks != NULL)
		talks->previous = talk;
	talks = talk;
	guest->connections++;
	talk_count++;
	/* The daemon hears of it when there is something to hear. */
	if (!start_watching(&talk->caller, EPOLLIN | EPOLLRDHUP))
		finish(talk);
}

/* The socket is the daemon's to make, so who listens on it is looked at: a guest must not reach something else of root's. */
static int connect_daemon(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred credentials;
	socklen_t length = sizeof(credentials);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	strncpy(address.sun_path, daemon_path, sizeof(address.sun_path) - 1);
	if (connect(fd, (void *)&address, sizeof(address)) == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 &&
	    credentials.uid == daemon_uid)
		return fd;
	close(fd);
	return -1;
}

static void begin(struct talk *talk)
{
	bool was_waiting = talk->waiting;

	if (!was_waiting)
		talk->since = now_ms();
	talk->daemon.fd = take_token(talk->guest) ? connect_daemon() : -1;
	talk->waiting = talk->daemon.fd < 0;
	waiting_count += talk->waiting - was_waiting;
	if (talk->waiting) {
		watch(&talk->caller, 0);
		if (now_ms() - talk->since > PATIENCE_MS)
			finish(talk);
		return;
	}
	/* A new socket's buffer takes a line at once. */
	if (send(talk->daemon.fd, talk->hello, strlen(talk->hello), MSG_NOSIGNAL) != (ssize_t)strlen(talk->hello) ||
	    !start_watching(&talk->daemon, EPOLLIN | EPOLLRDHUP))
		return finish(talk);
	watch(&talk->caller, EPOLLIN | EPOLLRDHUP);
}

static void try_waiting(void)
{
	for (struct talk *talk = talks; talk != NULL; talk = talk->next)
		if (talk->waiting && !talk->dead)
			begin(talk);
}

/* Moves what can be moved without waiting. False when the connection is broken. */
static bool move(struct pipe *pipe, int from, int to)
{
	ssize_t count;

	if (pipe->bytes == NULL && (pipe->bytes = malloc(BUFFER)) == NULL)
		return false;
	if (!pipe->ended && pipe->first == pipe->last) {
		count = recv(from, pipe->bytes, BUFFER, MSG_DONTWAIT);
		if (count == 0)
			pipe->ended = true;
		else if (count > 0)
			pipe->first = 0, pipe->last = count;
		else if (errno != EAGAIN && errno != EINTR)
			return false;
	}
	while (pipe->first < pipe->last) {
		count = send(to, pipe->bytes + pipe->first, pipe->last - pipe->first, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (count < 0)
			return errno == EAGAIN || errno == EINTR;
		pipe->first += count;
	}
	if (pipe->ended && !pipe->passed_on) {
		pipe->passed_on = true;
		shutdown(to, SHUT_WR);
	}
	return true;
}

static uint32_t interest(const struct pipe *incoming, const struct pipe *outgoing)
{
	bool full = incoming->first < incoming->last;

	return (full || incoming->ended ? 0 : EPOLLIN | EPOLLRDHUP) | (outgoing->first < outgoing->last ? EPOLLOUT : 0);
}

static void serve(struct end *end, uint32_t events)
{
	struct talk *talk = end->talk;

	if (talk->dead)
		return;
	/* Nobody is left to read an answer. */
	if (end == &talk->caller && (events & (EPOLLHUP | EPOLLERR)))
		return finish(talk);
	if (talk->waiting)
		return;
	if (talk->daemon.fd < 0) {
		begin(talk);
		return;
	}
	if (!move(&talk->in, talk->caller.fd, talk->daemon.fd) || !move(&talk->out, talk->daemon.fd, talk->caller.fd) || talk->out.passed_on)
		return finish(talk);
	watch(&talk->caller, interest(&talk->in, &talk->out));
	watch(&talk->daemon, interest(&talk->out, &talk->in));
}

static int listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char temporary[sizeof(address.sun_path) + 1];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || snprintf(temporary, sizeof(temporary), "%s.%d", path, getpid()) >= (int)sizeof(address.sun_path))
		fail("Cannot make the socket %s", path);
	strcpy(address.sun_path, temporary);
	/* Put in place in one go: a predecessor's goes on serving whom it has, and there is a socket at every moment. */
	unlink(temporary);
	if (bind(fd, (void *)&address, sizeof(address)) < 0 || chmod(temporary, 0666) < 0 || listen(fd, 1024) < 0 || rename(temporary, path) < 0)
		fail("Cannot listen on %s", path);
	return fd;
}

int serve_guests(const char *socket_path, const char *daemon_socket, const char *root, uid_t uid)
{
	struct rlimit files;
	struct epoll_event events[64];
	struct end input = {.fd = STDIN_FILENO}, listener = {0};

	daemon_path = daemon_socket;
	cgroup_root = root;
	daemon_uid = uid;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (setpriority(PRIO_PROCESS, 0, NICENESS) < 0)
		errno = 0;
	signal(SIGPIPE, SIG_IGN);
	listener.fd = listen_on(socket_path);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0 || !start_watching(&input, EPOLLIN) || !start_watching(&listener, EPOLLIN))
		fail("Cannot wait for callers");
	for (uint64_t tried = now_ms(), cleaned = tried;;) {
		int count = epoll_wait(poller, events, 64, waiting_count > 0 ? TICK_MS : talks != NULL || guests != NULL ? 1000 : -1);

		for (int i = 0; i < count; i++) {
			struct end *end = events[i].data.ptr;

			if (end == &input)
				return 0;
			if (end == &listener)
				welcome(listener.fd);
			else
				serve(end, events[i].events);
		}
		if (waiting_count > 0 && now_ms() - tried >= TICK_MS) {
			tried = now_ms();
			try_waiting();
		}
		forget_talks();
		if (now_ms() - cleaned >= 1000) {
			cleaned = now_ms();
			forget_guests();
		}
	}
}
