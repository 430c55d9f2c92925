/* What the kernel tells of devices that come and go, for as long as somebody reads it. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "roost-helper.h"

#define KERNEL_GROUP 1
#define QUEUE_BYTES (1024 * 1024)

/* `ACTION@DEVPATH`, then `KEY=VALUE`, each ended by NUL. */
static void print_event(const char *message, size_t length)
{
	const char *action = "", *path = "", *subsystem = "-";

	for (const char *at = message; at < message + length; at += strlen(at) + 1) {
		if (strncmp(at, "ACTION=", 7) == 0)
			action = at + 7;
		else if (strncmp(at, "DEVPATH=", 8) == 0)
			path = at + 8;
		else if (strncmp(at, "SUBSYSTEM=", 10) == 0)
			subsystem = at + 10;
	}
	if (*action != '\0')
		dprintf(STDOUT_FILENO, "%s %s %s\n", action, subsystem, path);
}

int print_uevents(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	int size = QUEUE_BYTES, fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	/* The reader's end: a hang-up says that nobody listens any more. */
	struct pollfd polled[2] = {{.fd = fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};
	static char message[16384 + 1];

	if (fd < 0)
		fail("Cannot open a socket for device events");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("Cannot listen for device events");
	dprintf(STDOUT_FILENO, "ready - -\n");
	while (poll(polled, 2, -1) > 0 || errno == EINTR) {
		struct sockaddr_nl sender = {0};
		socklen_t sender_length = sizeof(sender);
		ssize_t length;

		if (polled[1].revents & (POLLERR | POLLHUP))
			break;
		length = recvfrom(fd, message, sizeof(message) - 1, MSG_DONTWAIT, (struct sockaddr *)&sender, &sender_length);
		/* Too many at once: some are lost, so that everything is to be looked at. */
		if (length < 0 && errno == ENOBUFS)
			dprintf(STDOUT_FILENO, "change - -\n");
		/* Only the kernel has no port of its own. */
		if (length <= 0 || sender.nl_pid != 0)
			continue;
		message[length] = '\0';
		print_event(message, length);
	}
	return 0;
}
