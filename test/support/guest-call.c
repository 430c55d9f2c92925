/*
 * What a program inside a container does with /dev/lxd/sock; linked statically, for the test images have no C library.
 *   guest-call METHOD PATH [SECONDS]   one request; prints the answer, for so long (default: until it ends)
 *   guest-call handed PATH             the request goes over a socket that another process, gone since, has connected
 *   guest-call flood SECONDS           calls, asks and hangs up as fast as four processes can
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int call(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/lxd/sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(fd, (void *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int ask(int fd, const char *method, const char *path, int seconds)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	time_t end = time(NULL) + seconds;
	char bytes[65536];
	ssize_t count;

	dprintf(fd, "%s %s HTTP/1.1\r\nHost: lxd\r\n%s\r\n", method, path, seconds > 0 ? "" : "Connection: close\r\n");
	for (;;) {
		if (seconds > 0 && poll(&polled, 1, (end - time(NULL)) * 1000 > 0 ? (end - time(NULL)) * 1000 : 0) <= 0)
			return 0;
		count = read(fd, bytes, sizeof(bytes));
		if (count <= 0 || write(1, bytes, count) != count)
			return 0;
	}
}

static void flood(int kind, time_t end)
{
	char bytes[4096];

	while (time(NULL) < end) {
		int fd = call();

		if (fd < 0)
			continue;
		if (kind > 0)
			dprintf(fd, "GET /1.0/config HTTP/1.1\r\nHost: lxd\r\n\r\n");
		while (kind > 1 && read(fd, bytes, sizeof(bytes)) > 0 && time(NULL) < end)
			dprintf(fd, "GET /1.0/meta-data HTTP/1.1\r\nHost: lxd\r\n\r\n");
		close(fd);
	}
}

int main(int argc, char **argv)
{
	int fd;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "flood") == 0) {
		time_t end = time(NULL) + atoi(argv[2]);

		for (int kind = 0; kind < 4; kind++)
			if (fork() == 0) {
				flood(kind, end);
				_exit(0);
			}
		while (wait(NULL) > 0)
			continue;
		return 0;
	}
	if (argc < 3)
		return 2;
	fd = call();
	if (fd < 0) {
		perror("connect");
		return 1;
	}
	if (strcmp(argv[1], "handed") == 0) {
		if (fork() == 0) {
			usleep(200000);
			_exit(ask(fd, "GET", argv[2], 0));
		}
		_exit(0);
	}
	return ask(fd, argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 0);
}
