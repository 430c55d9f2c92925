#pragma once
#include <sys/types.h>

/* What both programs, roost-helper and roost-files, need of processes. */

/* Prints a line with the text of errno and exits with 1. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* In clock ticks after the boot; with the pid it names a process for good. 0: it is gone. */
unsigned long long start_time(pid_t pid);
/* A namespace of a process, by its name in /proc/PID/ns (proc_pid_ns(5)); does not return on failure. */
int namespace_of(pid_t pid, const char *kind);
