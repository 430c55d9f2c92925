/*
 * Removal of a tree whose content somebody else wrote, inside the caller's process: for a small tree, starting `rm` takes longer than the
 * removal. As `rm` does it: by directory descriptors, never following a link, and never into what is mounted below.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each level holds a descriptor and some stack. */
#define DEEPEST 100

struct removal {
	dev_t device;
	/* Entries that may still be removed before the caller wants its thread back. */
	int left;
};

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int empty(int directory, struct removal *removal, int depth);

static int remove_entry(int parent, const char *name, unsigned char type, struct removal *removal, int depth)
{
	struct stat status;
	int fd, result;

	if (removal->left-- <= 0)
		return E2BIG;
	if (type != DT_DIR && unlinkat(parent, name, 0) == 0)
		return 0;
	if (type != DT_DIR && errno != EISDIR && errno != EPERM)
		return errno == ENOENT ? 0 : errno;
	if (depth >= DEEPEST)
		return E2BIG;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno == ENOTDIR ? EPERM : errno;
	if (fstat(fd, &status) < 0 || status.st_dev != removal->device) {
		close(fd);
		return EXDEV;
	}
	result = empty(fd, removal, depth + 1);
	if (result != 0)
		return result;
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

/* Closes the directory. */
static int empty(int directory, struct removal *removal, int depth)
{
	DIR *stream = fdopendir(directory);
	struct dirent *entry;
	int result = 0;

	if (stream == NULL) {
		result = errno;
		close(directory);
		return result;
	}
	while (result == 0 && (errno = 0, entry = readdir(stream)) != NULL)
		if (!is_dots(entry->d_name))
			result = remove_entry(dirfd(stream), entry->d_name, entry->d_type, removal, depth);
	if (result == 0 && entry == NULL)
		result = errno;
	closedir(stream);
	return result;
}

/*
 * Removes `path` with at most `most` entries below it. 0: it is gone, or was not there. Otherwise an errno, E2BIG for a tree that is larger or
 * deeper, and what is left is somebody else's work.
 */
int roost_remove_tree(const char *path, int most)
{
	struct removal removal = {.left = most};
	struct stat status;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int result;

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if (fstat(fd, &status) < 0) {
		close(fd);
		return EIO;
	}
	removal.device = status.st_dev;
	result = empty(fd, &removal, 1);
	if (result != 0)
		return result;
	return rmdir(path) == 0 || errno == ENOENT ? 0 : errno;
}
