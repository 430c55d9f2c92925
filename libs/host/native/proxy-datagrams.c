/* UDP through a proxy device: a socket of its own for each who sends, so that answers find their way back; the longest silent goes first. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "proxy.h"

#define BUCKETS 4096
#define MOST_SESSIONS 16384
#define SILENCE_MS (30 * 60 * 1000LL)
#define LOOK_MS 10000
#define BYTES (64 * 1024)
#define DATAGRAMS_PER_EVENT 64

struct peer {
	socklen_t length;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
};

/* Which of our addresses it was sent to, for the answer to come from there. */
struct own_address {
	int family;
	union {
		struct in_pktinfo v4;
		struct in6_pktinfo v6;
	} info;
};

struct session {
	struct watched watched;
	/* In `by_age`, the one that was silent longest first, or in `dead`. */
	struct list age;
	struct session *next_in_bucket;
	size_t bucket;
	const struct listener *listener;
	struct peer peer;
	struct own_address own;
	int fd;
	bool dead;
	long long used;
};

static struct session *buckets[BUCKETS];
static struct list by_age, dead;
static size_t sessions_count;
static char bytes[BYTES];

void datagrams_init(void)
{
	list_init(&by_age);
	list_init(&dead);
}

bool datagrams_listen(int fd, int family)
{
	int yes = 1;

	if (family == AF_INET)
		return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes)) == 0;
	/* Everywhere is IPv6 with IPv4 inside, and without IPv6 in the kernel it is IPv4. */
	return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes)) == 0 || setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes)) == 0;
}

static size_t bucket_of(const struct listener *listener, const struct peer *peer)
{
	const unsigned char *at = (const unsigned char *)&peer->address;
	size_t hash = (size_t)listener;

	for (size_t i = 0; i < peer->length; i++)
		hash = hash * 31 + at[i];
	return (hash ^ hash >> 12) % BUCKETS;
}

static struct session *find_session(const struct listener *listener, const struct peer *peer)
{
	struct session *at = buckets[bucket_of(listener, peer)];

	while (at != NULL && (at->listener != listener || at->peer.length != peer->length || memcmp(&at->peer.address, &peer->address, peer->length) != 0))
		at = at->next_in_bucket;
	return at;
}

static void end_session(struct session *session)
{
	struct session **at = &buckets[session->bucket];

	if (session->dead)
		return;
	session->dead = true;
	while (*at != session)
		at = &(*at)->next_in_bucket;
	*at = session->next_in_bucket;
	close(session->fd);
	list_remove(&session->age);
	list_append(&dead, &session->age);
	sessions_count--;
	proxy_resume();
}

static struct session *oldest(void)
{
	return list_is_empty(&by_age) ? NULL : (struct session *)((char *)by_age.next - offsetof(struct session, age));
}

static void use(struct session *session)
{
	session->used = proxy_now();
	list_remove(&session->age);
	list_append(&by_age, &session->age);
}

static void answer(const struct session *session, size_t length)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = {0};
	struct iovec part = {.iov_base = bytes, .iov_len = length};
	struct msghdr head = {.msg_name = (void *)&session->peer.address, .msg_namelen = session->peer.length, .msg_iov = &part, .msg_iovlen = 1};

	if (session->own.family != AF_UNSPEC) {
		bool v4 = session->own.family == AF_INET;
		size_t size = v4 ? sizeof(struct in_pktinfo) : sizeof(struct in6_pktinfo);

		head.msg_control = &control;
		head.msg_controllen = CMSG_SPACE(size);
		control.header.cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
		control.header.cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
		control.header.cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(&control.header), &session->own.info, size);
	}
	/* As on a wire, what finds no room is lost. */
	(void)!sendmsg(session->listener->fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void session_ready(struct watched *self, unsigned events)
{
	struct session *session = (struct session *)self;

	(void)events;
	if (session->dead)
		return;
	for (int i = 0; i < DATAGRAMS_PER_EVENT; i++) {
		ssize_t length = recv(session->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (length < 0) {
			/* Nobody there, perhaps not any more: the next datagram asks again. */
			if (errno != EAGAIN && errno != EINTR)
				end_session(session);
			return;
		}
		answer(session, length);
		use(session);
	}
}

static struct session *new_session(const struct listener *listener, const struct peer *peer, const struct own_address *own)
{
	struct session *session;

	if (sessions_count >= MOST_SESSIONS)
		end_session(oldest());
	session = calloc(1, sizeof(struct session));
	if (session == NULL)
		return NULL;
	session->watched.ready = session_ready;
	session->listener = listener;
	session->peer = *peer;
	session->own = *own;
	session->fd = socket(listener->target->address.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (session->fd < 0 || connect(session->fd, &listener->target->address.any, listener->target->length) < 0 ||
	    !proxy_watch(session->fd, EPOLLIN, &session->watched)) {
		if (session->fd >= 0)
			close(session->fd);
		free(session);
		return NULL;
	}
	session->bucket = bucket_of(listener, peer);
	session->next_in_bucket = buckets[session->bucket];
	buckets[session->bucket] = session;
	list_init(&session->age);
	sessions_count++;
	return session;
}

static void read_own_address(struct msghdr *head, struct own_address *own)
{
	own->family = AF_UNSPEC;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(head); at != NULL; at = CMSG_NXTHDR(head, at)) {
		if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
			own->family = AF_INET;
			memcpy(&own->info.v4, CMSG_DATA(at), sizeof(own->info.v4));
			/* The address decides, not the link it came by. */
			own->info.v4.ipi_ifindex = 0;
			own->info.v4.ipi_spec_dst = own->info.v4.ipi_addr;
		} else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
			own->family = AF_INET6;
			memcpy(&own->info.v6, CMSG_DATA(at), sizeof(own->info.v6));
			if (!IN6_IS_ADDR_LINKLOCAL(&own->info.v6.ipi6_addr))
				own->info.v6.ipi6_ifindex = 0;
		}
	}
}

void datagrams_receive(struct watched *self, unsigned events)
{
	struct listener *listener = (struct listener *)self;

	(void)events;
	for (int i = 0; i < DATAGRAMS_PER_EVENT; i++) {
		union {
			struct cmsghdr header;
			char space[256];
		} control;
		struct peer peer = {0};
		struct own_address own = {0};
		struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
		struct msghdr head = {.msg_name = &peer.address, .msg_namelen = sizeof(peer.address), .msg_iov = &part, .msg_iovlen = 1,
				      .msg_control = &control, .msg_controllen = sizeof(control)};
		ssize_t length = recvmsg(listener->fd, &head, MSG_DONTWAIT);
		struct session *session;

		if (length < 0)
			return;
		peer.length = head.msg_namelen;
		session = find_session(listener, &peer);
		if (session == NULL) {
			read_own_address(&head, &own);
			session = new_session(listener, &peer, &own);
		}
		if (session == NULL)
			continue;
		use(session);
		(void)!send(session->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

int datagrams_turn(void)
{
	long long now;

	while (!list_is_empty(&dead)) {
		struct session *session = (struct session *)((char *)dead.next - offsetof(struct session, age));

		list_remove(&session->age);
		free(session);
	}
	if (list_is_empty(&by_age))
		return -1;
	now = proxy_now();
	while (oldest() != NULL && now - oldest()->used > SILENCE_MS)
		end_session(oldest());
	return LOOK_MS;
}
