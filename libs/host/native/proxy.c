/*
 * A proxy device: one process for each, which listens on one side of a container's border and connects on the other, where it ends up with as few
 * rights as that takes. It ends with the container's init, by a signal, and in no other way; the agent need not live.
 *
 * One thread and one epoll. Bytes of streams go through pipes by splice(2), never through this process; a connection has a pipe only while bytes
 * wait for a slow reader, so that an idle one costs two sockets and a few hundred bytes. What cannot be spliced (datagrams, sockets that carry
 * descriptors) goes through one buffer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy.h"
#include "roost-helper.h"
#include "session.h"

#define BATCH 256
#define RESUME_MS 1000

struct proxy proxy;

void list_init(struct list *list)
{
	list->previous = list->next = list;
}

bool list_is_empty(const struct list *list)
{
	return list->next == list;
}

void list_append(struct list *list, struct list *item)
{
	item->previous = list->previous;
	item->next = list;
	list->previous->next = item;
	list->previous = item;
}

/* Also of an item that is in no list, if it was made so by `list_init`. */
void list_remove(struct list *item)
{
	item->previous->next = item->next;
	item->next->previous = item->previous;
	list_init(item);
}

/* Milliseconds of a clock that never jumps. */
long long proxy_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

bool proxy_watch(int fd, unsigned events, struct watched *watched)
{
	struct epoll_event event = {.events = events, .data.ptr = watched};

	return epoll_ctl(proxy.epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void proxy_rewatch(int fd, unsigned events, struct watched *watched)
{
	struct epoll_event event = {.events = events, .data.ptr = watched};

	epoll_ctl(proxy.epoll, EPOLL_CTL_MOD, fd, &event);
}

static void watch_listeners(unsigned events)
{
	for (size_t i = 0; i < proxy.listeners_count; i++)
		if (proxy.listeners[i].protocol != PROXY_UDP)
			proxy_rewatch(proxy.listeners[i].fd, events, &proxy.listeners[i].watched);
}

void proxy_pause(void)
{
	if (proxy.paused)
		return;
	proxy.paused = true;
	watch_listeners(0);
}

void proxy_resume(void)
{
	if (!proxy.paused)
		return;
	proxy.paused = false;
	watch_listeners(EPOLLIN);
}

static void container_ended(struct watched *self, unsigned events)
{
	(void)self;
	(void)events;
	_exit(0);
}

static void listen_on(const struct proxy_setup *setup, const int *fds)
{
	proxy.listeners_count = setup->listen_count;
	proxy.listeners = calloc(setup->listen_count, sizeof(struct listener));
	if (proxy.listeners == NULL)
		fail("No memory");
	for (size_t i = 0; i < setup->listen_count; i++) {
		struct listener *listener = &proxy.listeners[i];

		listener->fd = fds[i];
		listener->protocol = setup->listen[i].protocol;
		listener->target = &setup->connect[setup->connect_count == 1 ? 0 : i];
		listener->watched.ready = listener->protocol == PROXY_UDP ? datagrams_receive : streams_accept;
		if (listener->protocol == PROXY_UDP && !datagrams_listen(listener->fd, setup->listen[i].address.any.sa_family))
			fail("Cannot prepare a socket");
		if (!proxy_watch(listener->fd, EPOLLIN, &listener->watched))
			fail("Cannot watch a socket");
	}
}

static int sooner(int a, int b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

static void serve(void)
{
	for (;;) {
		struct epoll_event events[BATCH];
		int timeout = sooner(sooner(streams_turn(), datagrams_turn()), proxy.paused ? RESUME_MS : -1);
		int count = epoll_wait(proxy.epoll, events, BATCH, timeout);

		for (int i = 0; i < count; i++) {
			struct watched *watched = events[i].data.ptr;

			watched->ready(watched, events[i].events);
		}
		/* A limit of the whole system may be over without anything of ours having ended. */
		if (count == 0)
			proxy_resume();
	}
}

/* As many as the kernel allows one process; each connection takes two. */
static void raise_descriptors(void)
{
	struct rlimit limit = {.rlim_cur = 1048576, .rlim_max = 1048576};

	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Pid and start time, by rename: whoever finds the file finds a process that listens. */
static void write_pid_file(const char *path)
{
	char temporary[4096], text[64];
	int length = snprintf(text, sizeof(text), "%d %llu\n", getpid(), start_time(getpid()));
	int fd;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", path) >= sizeof(temporary))
		fail("The path %s is too long", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text, length) != length || rename(temporary, path) < 0)
		fail("Cannot write %s", path);
	close(fd);
}

/* In the background by now; errors still reach the one who waits, through standard error. */
static void become_proxy(const char *pid_file, const char *log_file, int started)
{
	struct watched ended = {.ready = container_ended};
	struct proxy_setup setup;
	int *fds, pidfd, log;

	proxy_read_setup(&setup);
	log = open(log_file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (log < 0)
		fail("Cannot open %s", log_file);
	raise_descriptors();
	proxy.header = setup.header;
	proxy.epoll = epoll_create1(EPOLL_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	write_pid_file(pid_file);
	fds = proxy_prepare(&setup, &pidfd);
	streams_init();
	datagrams_init();
	listen_on(&setup, fds);
	if (!proxy_watch(pidfd, EPOLLIN, &ended))
		fail("Cannot watch the container");
	dprintf(log, "Status: Started\n");
	(void)!write(started, "", 1);
	close(started);
	/* Nothing of the agent's is kept open. */
	dup3(log, STDERR_FILENO, 0);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	open("/dev/null", O_RDWR);
	open("/dev/null", O_RDWR);
	proxy_confine();
	serve();
}

int run_proxy(const char *pid_file, const char *log_file)
{
	int pipes[2], status;
	char byte;
	pid_t child;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		fail("Cannot make a pipe");
	child = fork();
	if (child < 0)
		fail("Cannot fork");
	if (child == 0) {
		close(pipes[0]);
		setsid();
		become_proxy(pid_file, log_file, pipes[1]);
	}
	close(pipes[1]);
	if (read(pipes[0], &byte, 1) == 1)
		return 0;
	waitpid(child, &status, 0);
	unlink(pid_file);
	return 1;
}
