#pragma once
#include <dirent.h>

#include "roost-files.h"

enum {
	INIT = 1, VERSION = 2, OPEN = 3, CLOSE = 4, READ = 5, WRITE = 6, LSTAT = 7, FSTAT = 8, SETSTAT = 9, FSETSTAT = 10, OPENDIR = 11, READDIR = 12,
	REMOVE = 13, MKDIR = 14, RMDIR = 15, REALPATH = 16, STAT = 17, RENAME = 18, READLINK = 19, SYMLINK = 20,
	STATUS = 101, HANDLE = 102, DATA = 103, NAME = 104, ATTRS = 105, EXTENDED = 200, EXTENDED_REPLY = 201,
};

enum { OK = 0, END = 1, NO_SUCH_FILE = 2, PERMISSION_DENIED = 3, FAILURE = 4, BAD_MESSAGE = 5, UNSUPPORTED = 8 };

enum { OPEN_READ = 1, OPEN_WRITE = 2, OPEN_APPEND = 4, OPEN_CREATE = 8, OPEN_TRUNCATE = 16, OPEN_EXCLUSIVE = 32 };

/* The request at hand, and the answer to it. */
extern struct packet request, reply;
extern uint32_t id;

void answer_status(uint32_t code, const char *text);
/* `what`, a path or two, and why: errno. */
void answer_error(const char *what, const char *path, const char *other);
/* The same for a result below zero. */
void answer_result(int result, const char *what, const char *path, const char *other);
void answer_attributes(const struct stat *status);
/* Takes the handle of a request; NULL after an answer was given. */
struct handle *take_handle(bool directory);
/* Of what was opened, or not. */
void answer_handle(int fd, DIR *stream, bool appends, const char *path);

void handle_open(const char *path);
void handle_read(void);
void handle_write(void);
/* `get@roost` and `put@roost`. */
void handle_stream(bool get);

void handle_opendir(const char *path);
void handle_readdir(void);
void handle_readlink(const char *path);
void handle_realpath(const char *path);
