/* Sockets, namespaces and rights of a proxy device. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <arpa/inet.h>
#include <ctype.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy.h"
#include "roost-helper.h"
#include "session.h"

#define BACKLOG 4096
#define MOST_SOCKETS 65536

static const char *const protocol_names[] = {[PROXY_TCP] = "tcp", [PROXY_UDP] = "udp", [PROXY_UNIX] = "unix"};

static bool parse_protocol(const char *text, enum protocol *protocol)
{
	for (size_t i = 0; i < sizeof(protocol_names) / sizeof(*protocol_names); i++)
		if (strcmp(text, protocol_names[i]) == 0) {
			*protocol = i;
			return true;
		}
	return false;
}

/* `tcp ADDRESS PORT`, `unix PATH`, `unix @NAME`; ADDRESS `*` is everywhere, both families where there are two. */
static bool parse_endpoint(char *text, struct endpoint *endpoint)
{
	char *rest = strchr(text, ' '), *port;

	memset(endpoint, 0, sizeof(*endpoint));
	if (rest == NULL)
		return false;
	*rest++ = '\0';
	if (!parse_protocol(text, &endpoint->protocol))
		return false;
	if (endpoint->protocol == PROXY_UNIX) {
		size_t length = strlen(rest);

		if (length == 0 || length >= sizeof(endpoint->address.local.sun_path)) {
			errno = ENAMETOOLONG;
			return false;
		}
		endpoint->address.local.sun_family = AF_UNIX;
		memcpy(endpoint->address.local.sun_path, rest, length);
		endpoint->length = offsetof(struct sockaddr_un, sun_path) + length + 1;
		if (rest[0] == '@') {
			endpoint->address.local.sun_path[0] = '\0';
			endpoint->length--;
		}
		return true;
	}
	port = strchr(rest, ' ');
	if (port == NULL)
		return false;
	*port++ = '\0';
	if (strcmp(rest, "*") == 0) {
		endpoint->address.v6.sin6_family = AF_INET6;
	} else if (inet_pton(AF_INET, rest, &endpoint->address.v4.sin_addr) == 1) {
		endpoint->address.v4.sin_family = AF_INET;
	} else if (inet_pton(AF_INET6, rest, &endpoint->address.v6.sin6_addr) == 1) {
		endpoint->address.v6.sin6_family = AF_INET6;
	} else {
		return false;
	}
	/* The port is at the same place in both. */
	endpoint->address.v4.sin_port = htons(atoi(port));
	endpoint->length = endpoint->address.any.sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	return true;
}

static void add_endpoint(char *text, struct endpoint **endpoints, size_t *count)
{
	if (*count >= MOST_SOCKETS)
		fail("Too many ports");
	*endpoints = realloc(*endpoints, (*count + 1) * sizeof(struct endpoint));
	errno = EINVAL;
	if (*endpoints == NULL || !parse_endpoint(text, &(*endpoints)[*count]))
		fail("Cannot use the address %s", text);
	(*count)++;
}

void proxy_read_setup(struct proxy_setup *setup)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	*setup = (struct proxy_setup){.uid = -1, .gid = -1, .mode = 0644};
	while ((length = getline(&line, &size, stdin)) > 0) {
		char *value;

		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		value = strchr(line, ' ');
		if (value == NULL)
			continue;
		*value++ = '\0';
		if (strcmp(line, "init") == 0)
			sscanf(value, "%d %llu", &setup->init, &setup->init_start);
		else if (strcmp(line, "bind") == 0)
			setup->bind_inside = strcmp(value, "instance") == 0;
		else if (strcmp(line, "header") == 0)
			setup->header = true;
		else if (strcmp(line, "userns") == 0)
			setup->user_namespace = true;
		else if (strcmp(line, "uid") == 0)
			setup->uid = atol(value);
		else if (strcmp(line, "gid") == 0)
			setup->gid = atol(value);
		else if (strcmp(line, "owner") == 0)
			setup->owner = atol(value);
		else if (strcmp(line, "group") == 0)
			setup->group = atol(value);
		else if (strcmp(line, "mode") == 0)
			setup->mode = strtol(value, NULL, 8);
		else if (strcmp(line, "listen") == 0) {
			/* Parsing cuts the text; errors show it as it was. */
			setup->listen_texts = realloc(setup->listen_texts, (setup->listen_count + 1) * sizeof(char *));
			if (setup->listen_texts == NULL)
				fail("No memory");
			setup->listen_texts[setup->listen_count] = strdup(value);
			add_endpoint(value, &setup->listen, &setup->listen_count);
		} else if (strcmp(line, "connect") == 0)
			add_endpoint(value, &setup->connect, &setup->connect_count);
	}
	free(line);
	errno = EINVAL;
	if (setup->init <= 1 || setup->listen_count == 0 || (setup->connect_count != 1 && setup->connect_count != setup->listen_count))
		fail("Incomplete description of a proxy");
}

/* In the words of Go's net package, which is what LXD shows. `unix /path` and `tcp 127.0.0.1 80` are the texts. */
static void listen_failed(const char *text) __attribute__((noreturn));
static void listen_failed(const char *text)
{
	const char *reason = strerror(errno), *rest = strchr(text, ' ') + 1, *port = strchr(rest, ' ');
	char address[256];

	if (strncmp(text, "unix", 4) == 0 || port == NULL)
		snprintf(address, sizeof(address), "%s", rest);
	else if (rest[0] == '*')
		snprintf(address, sizeof(address), ":%s", port + 1);
	else
		snprintf(address, sizeof(address), memchr(rest, ':', port - rest) ? "[%.*s]:%s" : "%.*s:%s", (int)(port - rest), rest, port + 1);
	fprintf(stderr, "Failed to listen on %s: listen %.*s %s: bind: %c%s\n", address, (int)(strchr(text, ' ') - text), text, address,
		tolower(reason[0]), reason + 1);
	exit(1);
}

/* A socket that nobody listens on any more is in the way; anything else there stays. */
static void remove_stale_socket(const char *path)
{
	struct stat status;

	if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		unlink(path);
}

static int listen_to(const struct proxy_setup *setup, const struct endpoint *endpoint, const char *text)
{
	bool has_path = endpoint->protocol == PROXY_UNIX && endpoint->address.local.sun_path[0] != '\0';
	int type = endpoint->protocol == PROXY_UDP ? SOCK_DGRAM : SOCK_STREAM, yes = 1, no = 0;
	const char *path = endpoint->address.local.sun_path;
	struct endpoint own = *endpoint;
	int fd = socket(endpoint->address.any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t mask;

	/* A kernel without IPv6 still has everywhere. */
	if (fd < 0 && errno == EAFNOSUPPORT && IN6_IS_ADDR_UNSPECIFIED(&endpoint->address.v6.sin6_addr)) {
		memset(&own.address, 0, sizeof(own.address));
		own.address.v4.sin_family = AF_INET;
		own.address.v4.sin_port = endpoint->address.v6.sin6_port;
		own.length = sizeof(struct sockaddr_in);
		fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		listen_failed(text);
	if (endpoint->protocol == PROXY_TCP)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (own.address.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, IN6_IS_ADDR_UNSPECIFIED(&own.address.v6.sin6_addr) ? &no : &yes, sizeof(yes));
	if (has_path)
		remove_stale_socket(path);
	/* Nobody connects before owner and mode are what they should be. */
	mask = umask(0777);
	if (bind(fd, &own.address.any, own.length) < 0)
		listen_failed(text);
	umask(mask);
	if (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)
		listen_failed(text);
	if (has_path && (lchown(path, setup->owner, setup->group) < 0 || chmod(path, setup->mode) < 0))
		fail("Cannot set owner and mode of %s", path);
	return fd;
}

static int open_namespace(const struct proxy_setup *setup, const char *kind)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", setup->init, kind);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("Cannot open %s", path);
	return fd;
}

/* All descriptors first: /proc is another one inside. Namespaces belong to the user namespace, so it comes last. */
static void enter_container(const struct proxy_setup *setup)
{
	int net = open_namespace(setup, "net"), mnt = open_namespace(setup, "mnt");
	int user = setup->user_namespace ? open_namespace(setup, "user") : -1;

	if (setns(net, CLONE_NEWNET) < 0 || setns(mnt, CLONE_NEWNS) < 0 || (user >= 0 && setns(user, CLONE_NEWUSER) < 0))
		fail("Cannot enter the container");
	close(net);
	close(mnt);
	if (user < 0)
		return;
	close(user);
	/* Root inside, until rights are dropped. */
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		fail("Cannot become root of the container");
}

static void listen_all(const struct proxy_setup *setup, int *fds)
{
	for (size_t i = 0; i < setup->listen_count; i++)
		fds[i] = listen_to(setup, &setup->listen[i], setup->listen_texts[i]);
}

/* A process of its own goes in, makes the sockets and shares them with us; we never set foot in there. */
static void listen_inside(const struct proxy_setup *setup, int *fds)
{
	int status = 1;
	pid_t child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	if (child < 0)
		fail("Cannot fork");
	if (child == 0) {
		enter_container(setup);
		listen_all(setup, fds);
		_exit(0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		_exit(1);
}

/* What is left: connecting to sockets that belong to others, and that for root alone. */
static void drop_rights(const struct proxy_setup *setup)
{
	bool paths = setup->connect[0].protocol == PROXY_UNIX && setup->uid <= 0;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (setgroups(0, NULL) < 0)
		fail("Cannot leave groups");
	if ((setup->gid >= 0 && setresgid(setup->gid, setup->gid, setup->gid) < 0) || (setup->uid >= 0 && setresuid(setup->uid, setup->uid, setup->uid) < 0))
		fail("Cannot change user and group");
	if (paths)
		data[0].permitted = data[0].effective = 1U << CAP_DAC_OVERRIDE;
	for (int capability = 0; capability <= 63; capability++)
		if (!(paths && capability == CAP_DAC_OVERRIDE))
			prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	if (syscall(SYS_capset, &header, data) < 0)
		fail("Cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		fail("Cannot drop rights");
}

int *proxy_prepare(const struct proxy_setup *setup, int *pidfd)
{
	/* Shared with the process that goes inside. */
	int *fds = mmap(NULL, setup->listen_count * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (fds == MAP_FAILED)
		fail("No memory");
	*pidfd = syscall(SYS_pidfd_open, setup->init, 0);
	errno = ESRCH;
	if (*pidfd < 0 || start_time(setup->init) != setup->init_start)
		fail("The container is gone");
	if (setup->bind_inside) {
		listen_inside(setup, fds);
	} else {
		listen_all(setup, fds);
		enter_container(setup);
	}
	if (chdir("/") < 0)
		fail("Cannot go to the root");
	drop_rights(setup);
	return fds;
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif

static const int allowed_calls[] = {
	SYS_epoll_pwait, SYS_epoll_ctl, SYS_accept4, SYS_socket, SYS_connect, SYS_splice, SYS_sendmsg, SYS_recvmsg, SYS_sendto, SYS_recvfrom, SYS_close,
	SYS_shutdown, SYS_getsockopt, SYS_setsockopt, SYS_getpeername, SYS_getsockname, SYS_pipe2, SYS_fcntl, SYS_mmap, SYS_munmap, SYS_mremap,
	SYS_madvise, SYS_brk, SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall, SYS_clock_gettime, SYS_ppoll, SYS_read, SYS_write, SYS_futex,
	SYS_getrandom, SYS_mprotect,
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
#ifdef SYS_poll
	SYS_poll,
#endif
};

/* Whoever found a way to run code in here could make these calls and no others. */
void proxy_confine(void)
{
	enum { CALLS = sizeof(allowed_calls) / sizeof(*allowed_calls) };
	struct sock_filter filter[CALLS + 6];
	struct sock_fprog program = {.filter = filter};
	int at = 0;

	if (ARCHITECTURE == 0)
		return;
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (int i = 0; i < CALLS; i++)
		filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed_calls[i], CALLS - i, 0);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = at;
	/* A kernel without filters is no reason to proxy nothing. */
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
