#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "../process/process.h"

/* Descriptors that stay where they are. */
#define CONNECTION 3
#define HOST_PROC 4

/* root.c: where "/" is from now on. None of these returns on failure. */

void enter_running(pid_t init, unsigned long long start_ticks);
/* `map`: ids of the container, `u:0:100000:65536,...`, empty for the host's own. `mapped`: show the files through it, which have the container's own ids. */
void enter_tree(const char *path, const char *map, bool mapped);
/* Gives up what the work on files does not take. */
void drop_privileges(void);

/* filter.c: the system calls that are left, from now on. Neither returns on failure; privileges must be dropped before. */

void confine_listener(void);
/* Fewer still, for a process that serves one connection. */
void confine_connection(void);

/* paths.c: paths are the client's, and never lead out of the root. All return -1 with errno. */

void open_root(void);
/* An O_PATH descriptor. */
int find(const char *path, bool follow);
/* A regular file; EISDIR, ENXIO for anything else, which is never opened. */
int open_file(const char *path, int flags, mode_t mode);
int open_directory(const char *path);
/* The directory that holds the last name of a path, which is left in `name`. */
int open_parent(const char *path, char name[256]);
/* Another descriptor of the file that an O_PATH descriptor stands for. */
int reopen(int fd, int flags);
int change_mode(int fd, mode_t mode);

/* packet.c: a message of SFTP, read from its front or made at its end. */

#define LONGEST_PACKET (1024 * 1024 + 1024)
#define LONGEST_READ (1024 * 1024)

struct packet {
	size_t length;
	size_t at;
	/* Set when more was read than there is. */
	bool broken;
	uint8_t bytes[LONGEST_PACKET];
};

struct attributes {
	uint32_t flags;
	uint64_t size;
	uint32_t uid;
	uint32_t gid;
	uint32_t mode;
	uint32_t accessed;
	uint32_t modified;
};

#define ATTRIBUTE_SIZE 0x1
#define ATTRIBUTE_OWNER 0x2
#define ATTRIBUTE_MODE 0x4
#define ATTRIBUTE_TIMES 0x8

uint8_t take_byte(struct packet *packet);
uint32_t take_number(struct packet *packet);
uint64_t take_long(struct packet *packet);
/* The bytes stay in the packet. */
const uint8_t *take_bytes(struct packet *packet, uint32_t *length);
/* Ends in NUL; NULL for one that is broken. EINVAL for one with a NUL inside is the caller's: `valid` tells. */
const char *take_text(struct packet *packet, bool *valid);
void take_attributes(struct packet *packet, struct attributes *attributes);
void begin(struct packet *packet, uint8_t type);
void put_byte(struct packet *packet, uint8_t value);
void put_number(struct packet *packet, uint32_t value);
void put_long(struct packet *packet, uint64_t value);
void put_bytes(struct packet *packet, const void *bytes, uint32_t length);
void put_text(struct packet *packet, const char *text);
void put_attributes(struct packet *packet, const struct stat *status);
/* Sends what was made. */
void finish(struct packet *packet);
/* Reads one; false at the end of the connection or when it is no packet. */
bool receive(struct packet *packet);
void write_all(const void *bytes, size_t length);

/* sftp.c: serves one connection, on descriptor CONNECTION, and exits. */
void serve_connection(void) __attribute__((noreturn));

/* operations.c */
struct handle {
	bool used;
	bool is_directory;
	bool appends;
	int fd;
	/* Of a directory. */
	void *stream;
	/* As it was asked for. */
	char *path;
};

#define MOST_HANDLES 256
extern struct handle handles[MOST_HANDLES];

/* -1 with EMFILE when there are too many. */
int add_handle(int fd, void *stream, bool appends, const char *path);
void close_handle(struct handle *handle);
/* By descriptor, O_PATH or open. The first thing that cannot be done is named in `what`. */
int apply_attributes(int fd, const struct attributes *attributes, const char **what);

int remove_file(const char *path);
int remove_directory(const char *path);
int make_directory(const char *path, mode_t mode);
int make_symlink(const char *target, const char *path);
int rename_path(const char *from, const char *to, bool replace);
int make_hard_link(const char *from, const char *to);
