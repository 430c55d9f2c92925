/*
 * System calls of containers that root on the host carries out for them (`security.syscalls.intercept.*`). LXC's monitors connect here and send
 * each call that the seccomp policy of their container names, together with the caller's /proc directory and memory; the answer is a result, or
 * "let the kernel decide". Every call gets a process of its own, which enters the caller's mount namespace and takes on its ids before it does
 * anything in there, with no more capabilities than the call needs. The cookie of a message is the container's name; what it may mount stands in
 * a file of that name. Ends with its standard input; LXC connects again to the next one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "roost-helper.h"
#include "syscalls.h"

#define LARGEST_MESSAGE 4096
#define MOST_CLIENTS 4096
/* A call that takes longer is given back to the kernel: its container waits for nothing else meanwhile. */
#define PATIENCE_S 10

/* As LXC sends it; the call, the answer and the cookie follow. */
struct proxy_message {
	uint64_t reserved;
	pid_t monitor, init;
	struct seccomp_notif_sizes sizes;
	uint64_t cookie_length;
};

struct client {
	int fd;
	/* Where the process that works on a call leaves its result; -1 when none does. */
	int pending;
	struct end {
		struct client *client;
		bool is_result;
	} socket_end, result_end;
	size_t length;
	char message[LARGEST_MESSAGE];
};

static int poller, clients;
static const char *settings;

static struct seccomp_notif_resp *answer_in(char *message)
{
	struct proxy_message *head = (void *)message;

	return (void *)(message + sizeof(*head) + head->sizes.seccomp_notif);
}

static bool watch(int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

	return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void drop(struct client *client)
{
	if (client->pending >= 0)
		close(client->pending);
	close(client->fd);
	free(client);
	clients--;
}

/* False when the client is gone. */
static bool answer(struct client *client, const struct result *result)
{
	struct proxy_message *head = (void *)client->message;
	struct seccomp_notif *call = (void *)(client->message + sizeof(*head));
	struct seccomp_notif_resp *response = answer_in(client->message);

	memset(response, 0, head->sizes.seccomp_notif_resp);
	response->id = call->id;
	response->val = result->value;
	response->error = -result->error;
	response->flags = result->decided ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	/* LXC does not want the cookie back. */
	return send(client->fd, client->message, client->length - head->cookie_length, MSG_NOSIGNAL) > 0;
}

/* LXC sends the caller's /proc directory, its memory and the descriptor of its seccomp filter; which is which their names say. */
static void sort_descriptors(const int *fds, int count, struct call *call)
{
	char path[64], target[256];

	call->proc = call->memory = call->notify = -1;
	for (int i = 0; i < count; i++) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
		length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		if (strncmp(target, "anon_inode:", 11) == 0)
			call->notify = fds[i];
		else if (length > 4 && strcmp(target + length - 4, "/mem") == 0)
			call->memory = fds[i];
		else if (strncmp(target, "/proc/", 6) == 0)
			call->proc = fds[i];
	}
}

static void work(struct client *client, const int *fds, int count, int result_fd)
{
	struct proxy_message *head = (void *)client->message;
	struct result result = {0};
	struct call call = {.request = (void *)(client->message + sizeof(*head)), .init = head->init};
	char *cookie = client->message + sizeof(*head) + head->sizes.seccomp_notif + head->sizes.seccomp_notif_resp;

	alarm(PATIENCE_S);
	snprintf(call.name, sizeof(call.name), "%.*s", (int)head->cookie_length, cookie);
	snprintf(call.settings, sizeof(call.settings), "%s/%s", settings, call.name);
	sort_descriptors(fds, count, &call);
	if (call.proc >= 0 && call.memory >= 0 && strchr(call.name, '/') == NULL)
		emulate(&call, &result);
	if (write(result_fd, &result, sizeof(result)) != sizeof(result))
		_exit(1);
	_exit(0);
}

static void begin(struct client *client, const int *fds, int count)
{
	static const struct result undecided;
	int ends[2] = {-1, -1};
	pid_t pid = -1;

	if (pipe2(ends, O_CLOEXEC) == 0) {
		pid = fork();
		if (pid == 0)
			work(client, fds, count, ends[1]);
		close(ends[1]);
	}
	if (pid > 0 && watch(ends[0], &client->result_end)) {
		client->pending = ends[0];
		return;
	}
	if (ends[0] >= 0)
		close(ends[0]);
	if (!answer(client, &undecided))
		drop(client);
}

static bool understood(const struct client *client)
{
	const struct proxy_message *head = (void *)client->message;

	return client->length >= sizeof(*head) && head->sizes.seccomp_notif >= sizeof(struct seccomp_notif) &&
	       head->sizes.seccomp_notif_resp >= sizeof(struct seccomp_notif_resp) && head->cookie_length < LONGEST_CONTAINER &&
	       client->length == sizeof(*head) + head->sizes.seccomp_notif + head->sizes.seccomp_notif_resp + head->cookie_length;
}

static void receive(struct client *client)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec bytes = {.iov_base = client->message, .iov_len = sizeof(client->message)};
	struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(client->fd, &message, MSG_CMSG_CLOEXEC);
	int fds[8], count = 0;

	if (length <= 0 || client->pending >= 0)
		return drop(client);
	client->length = length;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(header), count * sizeof(int));
	}
	if (understood(client))
		begin(client, fds, count);
	else
		drop(client);
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

static void take_result(struct client *client)
{
	struct result result = {0};

	/* A process that was killed leaves nothing: the kernel decides. */
	if (read(client->pending, &result, sizeof(result)) != sizeof(result))
		memset(&result, 0, sizeof(result));
	close(client->pending);
	client->pending = -1;
	if (!answer(client, &result))
		drop(client);
}

static void welcome(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct client *client = fd < 0 || clients >= MOST_CLIENTS ? NULL : calloc(1, sizeof(*client));

	if (client == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	client->fd = fd;
	client->pending = -1;
	client->socket_end = (struct end){.client = client};
	client->result_end = (struct end){.client = client, .is_result = true};
	clients++;
	if (!watch(fd, &client->socket_end))
		drop(client);
}

static int listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		fail("Cannot make the socket %s", path);
	strcpy(address.sun_path, path);
	unlink(path);
	if (fd < 0 || bind(fd, (void *)&address, sizeof(address)) < 0 || chmod(path, 0600) < 0 || listen(fd, 128) < 0)
		fail("Cannot listen on %s", path);
	return fd;
}

int serve_syscalls(const char *socket_path, const char *settings_directory)
{
	struct end input = {0}, listener_end = {0};
	int listener;

	settings = settings_directory;
	signal(SIGPIPE, SIG_IGN);
	/* Nobody waits for the processes that do the work. */
	signal(SIGCHLD, SIG_IGN);
	listener = listen_on(socket_path);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0 || !watch(STDIN_FILENO, &input) || !watch(listener, &listener_end))
		fail("Cannot wait for calls");
	for (;;) {
		struct epoll_event event;

		/* One at a time: what is dropped here cannot come up again. */
		if (epoll_wait(poller, &event, 1, -1) != 1)
			continue;
		if (event.data.ptr == &input)
			return 0;
		if (event.data.ptr == &listener_end)
			welcome(listener);
		else if (((struct end *)event.data.ptr)->is_result)
			take_result(((struct end *)event.data.ptr)->client);
		else
			receive(((struct end *)event.data.ptr)->client);
	}
}
