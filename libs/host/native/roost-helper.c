/*
 * roost-helper: what must happen between fork and exec, or inside a container's namespaces, and therefore cannot be done by
 * the agent itself, whose process has threads.
 *
 *   roost-helper notify FIFO NAME              post-stop hook: tell the agent, never block
 *   roost-helper sessions                      start sessions (commands inside containers, consoles) asked for on standard input
 *   roost-helper console-read|console-clear LXCPATH NAME   what LXC's monitor keeps of a console
 *   roost-helper guests SOCKET DAEMON-SOCKET CGROUP-ROOT DAEMON-UID   the door of the guest API, until the end of standard input
 *   roost-helper syscalls SOCKET DIRECTORY      carry out system calls of containers as their settings in DIRECTORY allow
 *   roost-helper mount PID SOURCE TARGET OPTIONS UID GID
 *   roost-helper umount PID TARGET             both inside a running container
 *   roost-helper shift PATH FROM TO            rewrite the owners below PATH from one id map to another
 *   roost-helper probe-idmap PATH              exit code 0 when PATH can be mounted with an id map
 *   roost-helper uevents                       what the kernel tells of devices, a line each: `ACTION SUBSYSTEM DEVPATH`; `ready` first
 *   roost-helper confined ro|rw|nolinks DIRECTORY COMMAND...   run a command that sees the directory as /volume, programs, and nothing else; this program is /helper
 *   roost-helper relay INPUT OUTPUT WORD...    pass bytes between pipes and standard input and output, in the place of a remote shell
 *   roost-helper proxy PIDFILE LOGFILE         a proxy device, described on standard input, one word and its value a line: `init PID START`,
 *                                              `bind host|instance`, `userns 1`, `header 1`, `uid N`, `gid N` (who to be in the end), `owner N`,
 *                                              `group N`, `mode OCTAL` (of a socket it makes), `listen ...` and `connect ...` for each port, as
 *                                              `tcp ADDRESS PORT`, `udp ADDRESS PORT`, `unix PATH`, `unix @NAME`. Ends when it listens
 *
 * Errors go to standard error as one line; the exit code is 1 then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy.h"
#include "roost-helper.h"

/*
 * LXC waits for its hooks, so this must not block whatever the agent does: the FIFO is opened without waiting for a reader. A
 * hook that fails for target `reboot` makes LXC stop the container; the agent, which is there to read the line, starts it again
 * with its present configuration. Without an agent LXC reboots it by itself.
 */
static int notify(const char *fifo, const char *name)
{
	const char *target = getenv("LXC_TARGET");
	char line[512];
	int length, fd;

	if (target == NULL)
		target = "stop";
	fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	length = snprintf(line, sizeof(line), "%s %s\n", name, target);
	if (write(fd, line, length) != length)
		return 0;
	return strcmp(target, "reboot") == 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "notify") == 0 && argc == 4)
		return notify(argv[2], argv[3]);
	if (strcmp(verb, "sessions") == 0 && argc == 2)
		return serve_sessions();
	if (strcmp(verb, "console-read") == 0 && argc == 4)
		return console_ring(argv[2], argv[3], false);
	if (strcmp(verb, "console-clear") == 0 && argc == 4)
		return console_ring(argv[2], argv[3], true);
	if (strcmp(verb, "guests") == 0 && argc == 6)
		return serve_guests(argv[2], argv[3], argv[4], atoi(argv[5]));
	if (strcmp(verb, "syscalls") == 0 && argc == 4)
		return serve_syscalls(argv[2], argv[3]);
	if (strcmp(verb, "mount") == 0 && argc == 8)
		return mount_inside(atoi(argv[2]), argv[3], argv[4], argv[5], atoi(argv[6]), atoi(argv[7]));
	if (strcmp(verb, "umount") == 0 && argc == 4)
		return umount_inside(atoi(argv[2]), argv[3]);
	if (strcmp(verb, "shift") == 0 && argc == 5)
		return shift_tree(argv[2], argv[3], argv[4]);
	if (strcmp(verb, "probe-idmap") == 0 && argc == 3)
		return probe_idmap(argv[2]);
	if (strcmp(verb, "uevents") == 0 && argc == 2)
		return print_uevents();
	if (strcmp(verb, "confined") == 0 && argc >= 5)
		return run_confined(argv[2], argv[3], argv + 4);
	if (strcmp(verb, "relay") == 0 && argc >= 4)
		return relay(atoi(argv[2]), atoi(argv[3]));
	if (strcmp(verb, "proxy") == 0 && argc == 4)
		return run_proxy(argv[2], argv[3]);
	fprintf(stderr, "roost-helper: unknown arguments\n");
	return 2;
}
