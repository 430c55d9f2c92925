#pragma once
#include <linux/mount.h>

/* mount(2) and umount2(2) for sources that need <linux/mount.h>, beside which <sys/mount.h> of older C libraries cannot be included. */

int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);
#define DETACH 2
#define RECURSIVE 0x4000
#define PRIVATE 0x40000
#define NOSUID 2
#define NODEV 4
#define NOEXEC 8
