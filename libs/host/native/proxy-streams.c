/* Connections of a proxy device: TCP and unix sockets in any mixture, and streams whose bytes leave as datagrams. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "proxy.h"

#define PIPE_BYTES (64 * 1024)
#define MESSAGE_BYTES (64 * 1024)
/* Of one connection before others get their turn. */
#define TURN_BYTES (1024 * 1024)
#define ACCEPTS_PER_EVENT 64
#define SPARE_PIPES 64
#define RETRY_MS 10
#define RETRY_PATIENCE_MS 5000
#define KEEPALIVE_SECONDS 15
/* SCM_MAX_FD of the kernel. */
#define MOST_DESCRIPTORS 253

/* What could not be written yet, where bytes are copied. */
struct message {
	size_t start, end;
	int descriptors[MOST_DESCRIPTORS];
	size_t descriptors_count;
	char bytes[MESSAGE_BYTES];
};

/* One direction. */
struct flow {
	int from, to;
	/* Holds bytes on their way; -1 while there are none. */
	int pipe[2];
	size_t held;
	struct message *message;
	/* The end of what comes was read; it was passed on. */
	bool ended, passed;
};

struct connection {
	struct watched watched;
	/* In `runnable` while there is more to do than one turn allows, in `retrying` while the other side's queue is full. */
	struct list turn;
	int client, server;
	const struct endpoint *target;
	struct flow up, down;
	/* Bytes are copied: messages have borders, or descriptors travel with them. */
	bool copied, datagrams;
	bool connecting, retrying, dead;
	long long since;
};

static struct list runnable, retrying, dead;
static int spare[SPARE_PIPES][2];
static size_t spare_count;
/* Copied bytes pass through here; only what a slow reader leaves is kept elsewhere. */
static struct message scratch;

void streams_init(void)
{
	list_init(&runnable);
	list_init(&retrying);
	list_init(&dead);
}

static bool take_pipe(struct flow *flow)
{
	if (spare_count > 0) {
		spare_count--;
		memcpy(flow->pipe, spare[spare_count], sizeof(flow->pipe));
		return true;
	}
	return pipe2(flow->pipe, O_NONBLOCK | O_CLOEXEC) == 0;
}

/* Only an empty one may be used again. */
static void give_pipe(struct flow *flow)
{
	if (flow->pipe[0] < 0)
		return;
	if (flow->held == 0 && spare_count < SPARE_PIPES) {
		memcpy(spare[spare_count++], flow->pipe, sizeof(flow->pipe));
	} else {
		close(flow->pipe[0]);
		close(flow->pipe[1]);
	}
	flow->pipe[0] = flow->pipe[1] = -1;
}

static void drop_message(struct flow *flow)
{
	if (flow->message == NULL)
		return;
	for (size_t i = 0; i < flow->message->descriptors_count; i++)
		close(flow->message->descriptors[i]);
	free(flow->message);
	flow->message = NULL;
}

/* The memory goes at the end of the turn: later events of the same batch may still name it. */
static void end_connection(struct connection *connection)
{
	if (connection->dead)
		return;
	connection->dead = true;
	close(connection->client);
	if (connection->server >= 0)
		close(connection->server);
	give_pipe(&connection->up);
	give_pipe(&connection->down);
	drop_message(&connection->up);
	drop_message(&connection->down);
	list_remove(&connection->turn);
	list_append(&dead, &connection->turn);
	proxy_resume();
}

/* 1: moved something, 0: nothing can move now, -1: the connection is broken. */
static int splice_some(struct flow *flow, size_t *budget)
{
	ssize_t moved;

	if (flow->held == 0 && !flow->ended) {
		if (flow->pipe[0] < 0 && !take_pipe(flow))
			return -1;
		moved = splice(flow->from, NULL, flow->pipe[1], NULL, PIPE_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (moved > 0)
			flow->held = moved;
		else if (moved == 0)
			flow->ended = true;
		else if (errno != EAGAIN)
			return -1;
	}
	if (flow->held == 0) {
		give_pipe(flow);
		return 0;
	}
	moved = splice(flow->pipe[0], NULL, flow->to, NULL, flow->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (moved < 0)
		return errno == EAGAIN ? 0 : -1;
	flow->held -= moved;
	*budget = *budget > (size_t)moved ? *budget - moved : 0;
	return 1;
}

static ssize_t receive_message(int fd, struct message *message)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = message->bytes, .iov_len = sizeof(message->bytes)};
	struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(fd, &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	message->start = 0;
	message->end = length > 0 ? length : 0;
	message->descriptors_count = 0;
	if (length < 0)
		return length;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&head); at != NULL; at = CMSG_NXTHDR(&head, at)) {
		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		message->descriptors_count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(message->descriptors, CMSG_DATA(at), message->descriptors_count * sizeof(int));
	}
	return length;
}

/* Descriptors go with the first byte. True when nothing is left. */
static ssize_t send_message(int fd, struct message *message)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = message->bytes + message->start, .iov_len = message->end - message->start};
	struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1};
	size_t bytes = message->descriptors_count * sizeof(int);
	ssize_t length;

	if (bytes > 0) {
		memset(&control, 0, sizeof(control));
		head.msg_control = &control;
		head.msg_controllen = CMSG_SPACE(bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(&control.header), message->descriptors, bytes);
	}
	length = sendmsg(fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (length < 0)
		return length;
	for (size_t i = 0; i < message->descriptors_count; i++)
		close(message->descriptors[i]);
	message->descriptors_count = 0;
	message->start += length;
	return length;
}

static int copy_some(struct flow *flow, size_t *budget)
{
	struct message *message = flow->message != NULL ? flow->message : &scratch;
	ssize_t length;

	if (flow->message == NULL) {
		if (flow->ended)
			return 0;
		length = receive_message(flow->from, message);
		if (length < 0)
			return errno == EAGAIN ? 0 : -1;
		if (length == 0) {
			flow->ended = true;
			return 0;
		}
	}
	length = send_message(flow->to, message);
	if (length >= 0)
		*budget = *budget > (size_t)length ? *budget - length : 0;
	if (length >= 0 && message->start == message->end) {
		free(flow->message);
		flow->message = NULL;
		return 1;
	}
	if (length < 0 && errno != EAGAIN) {
		/* What is in the scratch buffer belongs to no flow. */
		if (flow->message == NULL)
			for (size_t i = 0; i < scratch.descriptors_count; i++)
				close(scratch.descriptors[i]);
		return -1;
	}
	if (flow->message == NULL) {
		flow->message = malloc(sizeof(struct message));
		if (flow->message == NULL)
			return -1;
		*flow->message = scratch;
	}
	return length >= 0 ? 1 : 0;
}

/* False when the connection is broken. */
static bool pump_flow(const struct connection *connection, struct flow *flow, size_t *budget)
{
	int moved = 1;

	while (moved > 0 && *budget > 0) {
		moved = connection->copied ? copy_some(flow, budget) : splice_some(flow, budget);
		if (moved < 0)
			return false;
	}
	if (flow->ended && flow->held == 0 && flow->message == NULL && !flow->passed) {
		flow->passed = true;
		shutdown(flow->to, SHUT_WR);
	}
	return true;
}

static void pump(struct connection *connection)
{
	size_t up = TURN_BYTES, down = TURN_BYTES;

	if (!pump_flow(connection, &connection->up, &up) || !pump_flow(connection, &connection->down, &down)) {
		end_connection(connection);
		return;
	}
	/* No end ever comes from a socket for datagrams. */
	if (connection->up.passed && (connection->down.passed || connection->datagrams)) {
		end_connection(connection);
		return;
	}
	list_remove(&connection->turn);
	if (up == 0 || down == 0)
		list_append(&runnable, &connection->turn);
}

static void socket_text(const struct sockaddr_storage *address, char *host, size_t size, unsigned *port)
{
	const struct sockaddr_in6 *v6 = (const void *)address;
	const struct sockaddr_in *v4 = (const void *)address;

	if (address->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, host, size);
		*port = ntohs(v4->sin_port);
		return;
	}
	*port = ntohs(v6->sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, size);
	else
		inet_ntop(AF_INET6, &v6->sin6_addr, host, size);
}

/* Version 1 of the PROXY protocol: who connected to what. It is the first thing in an empty queue, so it fits. */
static bool send_header(const struct connection *connection)
{
	struct sockaddr_storage peer, own;
	socklen_t peer_length = sizeof(peer), own_length = sizeof(own);
	char text[160] = "PROXY UNKNOWN\r\n", from[64], to[64];
	unsigned from_port, to_port;
	size_t length;

	if (getpeername(connection->client, (void *)&peer, &peer_length) < 0 || getsockname(connection->client, (void *)&own, &own_length) < 0)
		return false;
	if (peer.ss_family != AF_UNIX) {
		socket_text(&peer, from, sizeof(from), &from_port);
		socket_text(&own, to, sizeof(to), &to_port);
		snprintf(text, sizeof(text), "PROXY TCP%c %s %s %u %u\r\n", strchr(from, ':') ? '6' : '4', from, to, from_port, to_port);
	}
	length = strlen(text);
	return send(connection->server, text, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
}

static void connected(struct connection *connection)
{
	connection->connecting = false;
	if (proxy.header && !send_header(connection)) {
		end_connection(connection);
		return;
	}
	pump(connection);
}

/* A unix socket whose queue is full says so at once instead of making us wait: asked again, for a while. */
static void try_connect(struct connection *connection)
{
	list_remove(&connection->turn);
	if (connect(connection->server, &connection->target->address.any, connection->target->length) == 0) {
		connected(connection);
		return;
	}
	connection->connecting = true;
	if (errno == EINPROGRESS)
		return;
	if (errno == EAGAIN && proxy_now() - connection->since < RETRY_PATIENCE_MS) {
		connection->retrying = true;
		list_append(&retrying, &connection->turn);
		return;
	}
	end_connection(connection);
}

static void connection_ready(struct watched *self, unsigned events)
{
	struct connection *connection = (struct connection *)self;
	struct pollfd polled = {.fd = connection->server, .events = POLLOUT};
	socklen_t length = sizeof(int);
	int error = 0;

	(void)events;
	if (connection->dead || connection->retrying)
		return;
	if (!connection->connecting) {
		pump(connection);
		return;
	}
	if (poll(&polled, 1, 0) <= 0)
		return;
	if (getsockopt(connection->server, SOL_SOCKET, SO_ERROR, &error, &length) < 0 || error != 0)
		end_connection(connection);
	else
		connected(connection);
}

static void tune(int fd)
{
	int yes = 1, seconds = KEEPALIVE_SECONDS;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
}

/* False when the system is out of something that may come back. */
static bool begin_connection(const struct listener *listener, int client)
{
	const struct endpoint *target = listener->target;
	struct connection *connection = calloc(1, sizeof(struct connection));

	if (connection == NULL) {
		close(client);
		return false;
	}
	connection->watched.ready = connection_ready;
	connection->client = client;
	connection->target = target;
	connection->since = proxy_now();
	connection->datagrams = target->protocol == PROXY_UDP;
	connection->copied = connection->datagrams || (listener->protocol == PROXY_UNIX && target->protocol == PROXY_UNIX);
	connection->server = socket(target->address.any.sa_family, (connection->datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	connection->up = (struct flow){.from = client, .to = connection->server, .pipe = {-1, -1}};
	connection->down = (struct flow){.from = connection->server, .to = client, .pipe = {-1, -1}};
	list_init(&connection->turn);
	if (connection->server < 0 || !proxy_watch(client, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &connection->watched) ||
	    !proxy_watch(connection->server, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &connection->watched)) {
		end_connection(connection);
		return false;
	}
	if (listener->protocol == PROXY_TCP)
		tune(client);
	if (target->protocol == PROXY_TCP)
		tune(connection->server);
	try_connect(connection);
	return true;
}

void streams_accept(struct watched *self, unsigned events)
{
	struct listener *listener = (struct listener *)self;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_EVENT && !proxy.paused; i++) {
		int client = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
			proxy_pause();
		if (client < 0)
			return;
		if (!begin_connection(listener, client))
			proxy_pause();
	}
}

static void retry_connects(void)
{
	struct list again;

	list_init(&again);
	while (!list_is_empty(&retrying)) {
		struct list *item = retrying.next;

		list_remove(item);
		list_append(&again, item);
	}
	while (!list_is_empty(&again)) {
		struct connection *connection = (struct connection *)((char *)again.next - offsetof(struct connection, turn));

		connection->retrying = false;
		try_connect(connection);
	}
}

int streams_turn(void)
{
	struct list now;

	list_init(&now);
	while (!list_is_empty(&runnable)) {
		struct list *item = runnable.next;

		list_remove(item);
		list_append(&now, item);
	}
	while (!list_is_empty(&now))
		pump((struct connection *)((char *)now.next - offsetof(struct connection, turn)));
	if (!list_is_empty(&retrying))
		retry_connects();
	while (!list_is_empty(&dead)) {
		struct connection *connection = (struct connection *)((char *)dead.next - offsetof(struct connection, turn));

		list_remove(&connection->turn);
		free(connection);
	}
	return !list_is_empty(&runnable) ? 0 : !list_is_empty(&retrying) ? RETRY_MS : -1;
}
