#pragma once
#include <sys/types.h>

/* Prints a line with the text of errno and exits with 1. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

int console_session(const char *session, const char *lxcpath, const char *name);
int exec_session(const char *session, const char *lxcpath, const char *name);
int mount_inside(pid_t pid, const char *source, const char *target, const char *options, uid_t uid, gid_t gid);
int umount_inside(pid_t pid, const char *target);
int probe_idmap(const char *path);
int shift_tree(const char *path, const char *from, const char *to);
