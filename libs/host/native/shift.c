/*
 * Rewrites the owners of a tree, for file systems that cannot be mounted with an id map. File capabilities and POSIX access lists
 * carry ids as well; set-id bits and capabilities are lost by a change of owner and put back.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "roost-helper.h"

#define MAXIMUM_RANGES 128
#define UNMAPPED UINT32_MAX

struct range {
	bool uid;
	bool gid;
	uint32_t inside;
	uint32_t host;
	uint32_t count;
};

struct map {
	struct range ranges[MAXIMUM_RANGES];
	size_t count;
};

static struct map from_map, to_map;

/* `u:0:100000:65536,g:0:100000:65536`; `b` for both; the empty text maps every id to itself. */
static void parse_map(const char *text, struct map *map)
{
	while (*text != '\0') {
		struct range *range = &map->ranges[map->count];
		char kind;
		int used;

		if (map->count == MAXIMUM_RANGES || sscanf(text, "%c:%u:%u:%u%n", &kind, &range->inside, &range->host, &range->count, &used) != 4) {
			errno = EINVAL;
			fail("Cannot read the id map %s", text);
		}
		range->uid = kind != 'g';
		range->gid = kind != 'u';
		map->count++;
		text += used + (text[used] == ',');
	}
}

static uint32_t translate(const struct map *map, uint32_t id, bool gid, bool to_host)
{
	if (map->count == 0)
		return id;
	for (size_t i = 0; i < map->count; i++) {
		const struct range *range = &map->ranges[i];
		uint32_t base = to_host ? range->inside : range->host;

		if ((gid ? range->gid : range->uid) && id >= base && id - base < range->count)
			return (to_host ? range->host : range->inside) + (id - base);
	}
	return UNMAPPED;
}

/*
 * An id that the `from` map does not know stays as it is: either the administrator put it there, or an interrupted run has shifted
 * it already. Where `from` is the host's own ids, the second is told by the id lying in the range that `to` leads to.
 */
static uint32_t shifted(uint32_t id, bool gid)
{
	uint32_t inside = translate(&from_map, id, gid, false);
	uint32_t host = inside == UNMAPPED ? UNMAPPED : translate(&to_map, inside, gid, true);

	if (from_map.count == 0 && translate(&to_map, id, gid, false) != UNMAPPED)
		return id;
	return host == UNMAPPED ? id : host;
}

/*
 * Version 3 names the root of the user namespace the capabilities count in; version 2 means the host's, and inside a container it is
 * what an image brings. Returns the size to write back, or -1 for none.
 */
static ssize_t shifted_capability(const char *path, struct vfs_ns_cap_data *data)
{
	ssize_t size = getxattr(path, "security.capability", data, sizeof(*data));
	uint32_t magic, root;

	if (size < (ssize_t)XATTR_CAPS_SZ_2)
		return -1;
	magic = le32toh(data->magic_etc);
	root = (magic & VFS_CAP_REVISION_MASK) == VFS_CAP_REVISION_3 ? le32toh(data->rootid) : 0;
	root = shifted(root, false);
	data->magic_etc = htole32((magic & ~VFS_CAP_REVISION_MASK) | (root == 0 ? VFS_CAP_REVISION_2 : VFS_CAP_REVISION_3));
	data->rootid = htole32(root);
	return root == 0 ? XATTR_CAPS_SZ_2 : XATTR_CAPS_SZ_3;
}

/* A header of 4 bytes, then entries of tag (16 bits), permissions (16) and id (32), little-endian; as in linux/posix_acl_xattr.h. */
static void shift_access_list(const char *path, const char *name)
{
	unsigned char list[4096];
	ssize_t size = getxattr(path, name, list, sizeof(list));
	const int named_user = 0x02, named_group = 0x08;

	if (size < 4)
		return;
	for (ssize_t at = 4; at + 8 <= size; at += 8) {
		int tag = list[at] | list[at + 1] << 8;
		uint32_t id;

		if (tag != named_user && tag != named_group)
			continue;
		memcpy(&id, list + at + 4, 4);
		id = htole32(shifted(le32toh(id), tag == named_group));
		memcpy(list + at + 4, &id, 4);
	}
	if (setxattr(path, name, list, size, 0) < 0)
		fail("Cannot shift an access list");
}

/* Works on a descriptor, so a container that swaps a name for a link meanwhile gains nothing. */
static void shift_entry(int directory, const char *name)
{
	struct vfs_ns_cap_data capability;
	ssize_t capability_size = -1;
	struct stat status;
	char path[64];
	int fd;

	fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		fail("Cannot open %s", name);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (S_ISREG(status.st_mode))
		capability_size = shifted_capability(path, &capability);
	if (fchownat(fd, "", shifted(status.st_uid, false), shifted(status.st_gid, true), AT_EMPTY_PATH) < 0)
		fail("Cannot change the owner of %s", name);
	if (capability_size > 0 && setxattr(path, "security.capability", &capability, capability_size, 0) < 0)
		fail("Cannot shift the capabilities of %s", name);
	if (!S_ISLNK(status.st_mode)) {
		shift_access_list(path, "system.posix_acl_access");
		if (S_ISDIR(status.st_mode))
			shift_access_list(path, "system.posix_acl_default");
		if ((status.st_mode & 07000) && chmod(path, status.st_mode & 07777) < 0)
			fail("Cannot restore the mode of %s", name);
	}
	close(fd);
}

static void shift_directory(int fd, dev_t device)
{
	DIR *directory = fdopendir(fd);
	struct dirent *entry;

	if (directory == NULL)
		fail("Cannot list a directory");
	while ((entry = readdir(directory)) != NULL) {
		struct stat status;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			fail("Cannot read %s", entry->d_name);
		if (S_ISDIR(status.st_mode) && status.st_dev == device) {
			int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (child < 0)
				fail("Cannot open %s", entry->d_name);
			shift_directory(child, device);
		}
		shift_entry(fd, entry->d_name);
	}
	closedir(directory);
}

/*
 * The root itself comes last: a tree whose root has the new owner was shifted completely. Its name is looked up once, and no link in its
 * place is followed: somebody else may have made what lies there.
 */
int shift_tree(const char *path, const char *from, const char *to)
{
	struct stat status;
	int root, listed;

	parse_map(from, &from_map);
	parse_map(to, &to_map);
	root = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0 || fstat(root, &status) < 0)
		fail("Cannot open %s", path);
	listed = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (listed < 0)
		fail("Cannot open %s", path);
	shift_directory(listed, status.st_dev);
	shift_entry(root, ".");
	close(root);
	return 0;
}
