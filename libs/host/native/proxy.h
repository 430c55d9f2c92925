#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum protocol { PROXY_TCP, PROXY_UDP, PROXY_UNIX };

/* One address with one port, or one unix path. */
struct endpoint {
	enum protocol protocol;
	socklen_t length;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	} address;
};

struct list {
	struct list *previous;
	struct list *next;
};

/* What epoll hands back: every watched thing begins with one. */
struct watched {
	void (*ready)(struct watched *self, unsigned events);
};

struct listener {
	struct watched watched;
	int fd;
	enum protocol protocol;
	/* The host's end was bound to no address in particular: answers name the one they were sent to. */
	const struct endpoint *target;
};

struct proxy {
	int epoll;
	bool header;
	struct listener *listeners;
	size_t listeners_count;
	/* No descriptors are left: nobody is accepted until one is free again. */
	bool paused;
};

extern struct proxy proxy;

bool proxy_watch(int fd, unsigned events, struct watched *watched);
void proxy_rewatch(int fd, unsigned events, struct watched *watched);
void proxy_pause(void);
void proxy_resume(void);
long long proxy_now(void);

void list_init(struct list *list);
bool list_is_empty(const struct list *list);
void list_append(struct list *list, struct list *item);
void list_remove(struct list *item);

/* Streams (TCP and unix sockets): proxy-streams.c */
void streams_init(void);
void streams_accept(struct watched *listener, unsigned events);
/* Goes on with what had to wait; milliseconds until it wants to be called again, -1 for never. */
int streams_turn(void);

/* UDP: proxy-datagrams.c */
void datagrams_init(void);
bool datagrams_listen(int fd, int family);
void datagrams_receive(struct watched *listener, unsigned events);
int datagrams_turn(void);

/* proxy-setup.c */
struct proxy_setup {
	pid_t init;
	unsigned long long init_start;
	bool bind_inside;
	bool header;
	bool user_namespace;
	/* -1 to stay. */
	long uid, gid;
	/* Of a listening unix socket that has a path. */
	long owner, group, mode;
	struct endpoint *listen, *connect;
	char **listen_texts;
	size_t listen_count, connect_count;
};

/* From standard input: see roost-helper.c. */
void proxy_read_setup(struct proxy_setup *setup);
/* Sockets on the side that listens, then this process on the side that connects, with as few rights as it takes. Prints why not, and exits. */
int *proxy_prepare(const struct proxy_setup *setup, int *pidfd);
void proxy_confine(void);
int run_proxy(const char *pid_file, const char *log_file);
