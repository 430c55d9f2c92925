#pragma once
#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

/* Where a session finds its descriptors. */
#define CONTROL_FD 3
#define LISTENER_FD 4
#define GATE_FD 4
#define STDIN_FD 5
#define STDOUT_FD 6
#define STDERR_FD 7
#define FIRST_FREE_FD 8
#define OPEN_TIMEOUT_SECONDS 30
#define BUFFER_BYTES (64 * 1024)

/* Which streams of a command somebody outside has an end of. A terminal stands for all three. */
enum ends { ENDS_NONE, ENDS_OUTPUT, ENDS_ALL };

struct spec {
	bool interactive;
	enum ends ends;
	uid_t uid;
	gid_t gid;
	/* Ids on the host of `uid` and `gid`, owners of the streams. */
	uid_t host_uid;
	gid_t host_gid;
	unsigned short width;
	unsigned short height;
	const char *cwd;
	char **environment;
	char **command;
};

struct streams {
	int stdin_fd;
	int stdout_fd;
	int stderr_fd;
	/* Terminal sessions only. */
	int master;
	int connection;
};

struct buffer {
	char bytes[BUFFER_BYTES];
	size_t start;
	size_t end;
};

/* Bytes of a terminal session on their way. */
extern struct buffer to_client, to_terminal;

/* What the agent asks for, and the server of sessions has made ready. Texts live as long as the process. */
struct session {
	const char *directory;
	const char *lxcpath;
	const char *name;
	struct spec spec;
};

/* Takes the session's directory, and leaves the server's signal handling. */
void begin_session(const char *directory);
void session_path(char *path, size_t size, const char *file);
void write_session_file(const char *file, const char *text);
/* Leaves `what` and the text of errno as the session's error, and exits. */
void session_error(const char *what) __attribute__((noreturn));
/* Takes one text, or a list with its length before it, from fields that end in NUL; NULL when there is none left. */
char *next_field(char **cursor, char *end);
char **next_list(char **cursor, char *end);
/* The daemon's connection to the session's terminal; not blocking. */
int accept_terminal(void);
/* Finds a character device below the container's root without ever leaving that root, and opens it once `is_wanted` agrees; -1 else. */
int open_container_device(pid_t init, const char *name, bool (*is_wanted)(dev_t device));
/* Reads control lines: signals go to `on_signal`, window sizes to `window` when that is a descriptor. */
void control(void (*on_signal)(unsigned number), int window);

bool is_empty(const struct buffer *buffer);
/* What to poll the two ends of a terminal session for. */
void await_terminal(const struct streams *streams, struct pollfd *master, struct pollfd *connection);
/* Moves bytes both ways; closes both ends, and sets them to -1, when the client is gone. False at the terminal's end. */
bool pump_terminal(struct streams *streams, const struct pollfd *master, const struct pollfd *connection);
/* What was written before the end still has to reach the client. */
void flush_terminal(struct streams *streams);
