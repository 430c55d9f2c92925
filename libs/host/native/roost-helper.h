#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "process/process.h"

struct session;

int console_ring(const char *lxcpath, const char *name, bool clear);
int console_session(const struct session *session);
int exec_session(const struct session *session);
/* Starts sessions as they are asked for on standard input, until its end. */
int serve_sessions(void);
/* Listens for callers inside containers and passes them on to the daemon, until the end of standard input. */
int serve_guests(const char *socket_path, const char *daemon_socket, const char *cgroup_root, uid_t daemon_uid);
/* Carries out system calls that LXC's monitors send, until the end of standard input. */
int serve_syscalls(const char *socket_path, const char *settings_directory);
int mount_inside(pid_t pid, const char *source, const char *target, const char *options, uid_t uid, gid_t gid);
int umount_inside(pid_t pid, const char *target);
int probe_idmap(const char *path);
int shift_tree(const char *path, const char *from, const char *to);
int print_uevents(void);
/* Runs a command that sees `directory` as /volume and little else; `access` is `ro` or `rw`. Returns only when that cannot be. */
int run_confined(const char *access, const char *directory, char **command);
/* From now on, and for what it runs, the calls that lead to more than files are refused. */
void refuse_system_calls(bool subvolumes);
/* Passes bytes from `input` to standard output and from standard input to `output`, all pipes, until `input` ends. */
int relay(int input, int output);
