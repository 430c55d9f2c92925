/*
 * Programs that talk with strangers about one directory: they see it as `/volume`, the system's programs and libraries read-only, and nothing
 * else of this host. Names in what they are sent cannot lead anywhere. They are root with the capabilities over files, and with those for nodes and trusted
 * attributes, which reach further: so devices open nowhere in what they see, and the calls that would lead out of it are refused (confined-filter.c).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/mounts.h"
#include "roost-helper.h"

/* A copy of a mount that is not anywhere yet. */
static int copy_mount(const char *path, bool recursive)
{
	int tree = syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));

	if (tree < 0)
		fail("%s", path);
	return tree;
}

static void protect(int tree, unsigned long long attributes, bool recursive)
{
	struct mount_attr wanted = {.attr_set = attributes};

	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &wanted, sizeof(wanted)) < 0)
		fail("Cannot protect a mount");
}

static void place(int tree, const char *name)
{
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		fail("%s", name);
	close(tree);
}

static void place_file(const char *path, const char *name)
{
	int tree = copy_mount(path, false), fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		fail("%s", name);
	close(fd);
	place(tree, name);
}

/* Where programs and libraries are besides /usr: links into it, or directories of their own. */
static void place_system(const char *name)
{
	char target[256], path[32];
	struct stat status;
	ssize_t length;
	int tree;

	snprintf(path, sizeof(path), "/%s", name);
	if (lstat(path, &status) < 0)
		return;
	if (S_ISLNK(status.st_mode)) {
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			fail("%s", path);
		target[length] = '\0';
		if (symlink(target, name) < 0)
			fail("%s", path);
		return;
	}
	tree = copy_mount(path, true);
	protect(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, true);
	if (mkdir(name, 0755) < 0)
		fail("%s", path);
	place(tree, name);
}

/* What restoring files takes: their owners, modes, nodes and attributes of every kind. */
static void keep_file_capabilities(void)
{
	static const int kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP, CAP_SYS_ADMIN};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}, {0}};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		data[CAP_TO_INDEX(kept[i])].permitted |= CAP_TO_MASK(kept[i]);
	data[0].effective = data[0].inheritable = data[0].permitted;
	data[1].effective = data[1].inheritable = data[1].permitted;
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		if (!(data[CAP_TO_INDEX(capability)].permitted & CAP_TO_MASK(capability)))
			prctl(PR_CAPBSET_DROP, capability);
	if (syscall(SYS_capset, &header, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail("Cannot give up privileges");
}

static unsigned long long attributes_of(const char *access)
{
	unsigned long long always = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

	if (strcmp(access, "ro") == 0)
		return always | MOUNT_ATTR_RDONLY;
	/* Written to, subvolumes made, and no symbolic link in it leads anywhere: for programs that would follow those that others have made. */
	return strcmp(access, "nolinks") == 0 ? always | MOUNT_ATTR_NOSYMFOLLOW : always;
}

int run_confined(const char *access, const char *directory, char **command)
{
	static const char *const system[] = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"};
	char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int volume, root;

	if (length < 0)
		fail("Cannot find this program");
	self[length] = '\0';
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0 || mount(NULL, "/", NULL, RECURSIVE | PRIVATE, NULL) < 0)
		fail("Cannot make namespaces");
	volume = copy_mount(directory, false);
	protect(volume, attributes_of(access), false);
	/* Any directory will do: nobody sees this name space but us. */
	if (mount("none", "/proc", "tmpfs", NOSUID | NODEV | NOEXEC, "mode=0755,size=1m") < 0 || chdir("/proc") < 0)
		fail("Cannot make a root");
	umask(0);
	if (mkdir("volume", 0700) < 0 || mkdir("dev", 0755) < 0 || mkdir("tmp", 01777) < 0)
		fail("Cannot make a root");
	place(volume, "volume");
	place_file("/dev/null", "dev/null");
	place_file(self, "helper");
	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		place_system(system[i]);
	root = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", DETACH) < 0 || chdir("/") < 0)
		fail("Cannot enter a root");
	umask(022);
	keep_file_capabilities();
	refuse_system_calls(strcmp(access, "nolinks") == 0);
	execvp(command[0], command);
	fail("%s", command[0]);
}
