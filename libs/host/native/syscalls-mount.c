/* mount(2) and bpf(2) for containers: see syscalls.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "syscalls.h"

#define LONGEST_PATH 4096
#define MOST_INSTRUCTIONS 65536

/* What a container may mount, by the lines of its settings. */
struct rules {
	bool allowed, shift;
	/* Program that does it instead; empty for none. */
	char fuse[256];
};

struct request {
	char source[LONGEST_PATH], target[LONGEST_PATH], type[64], data[LONGEST_PATH];
	unsigned long flags;
};

/* Lines `allowed TYPE`, `fuse TYPE PROGRAM`, `shift`; others are not about mounts. */
static void read_rules(const char *path, const char *type, struct rules *rules)
{
	char line[512], word[64], name[64], program[256];
	FILE *file = fopen(path, "re");

	memset(rules, 0, sizeof(*rules));
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		int words = sscanf(line, "%63s %63s %255s", word, name, program);

		if (words == 1 && strcmp(word, "shift") == 0)
			rules->shift = true;
		else if (words == 2 && strcmp(word, "allowed") == 0 && strcmp(name, type) == 0)
			rules->allowed = true;
		else if (words == 3 && strcmp(word, "fuse") == 0 && strcmp(name, type) == 0)
			strcpy(rules->fuse, program);
	}
	fclose(file);
}

static bool read_request(const struct call *call, struct request *request)
{
	const __u64 *arguments = call->request->data.args;

	memset(request, 0, sizeof(*request));
	request->flags = arguments[3];
	return (arguments[0] == 0 || read_text(call, arguments[0], request->source, sizeof(request->source))) &&
	       read_text(call, arguments[1], request->target, sizeof(request->target)) && arguments[2] != 0 &&
	       read_text(call, arguments[2], request->type, sizeof(request->type)) &&
	       (arguments[4] == 0 || read_text(call, arguments[4], request->data, sizeof(request->data)));
}

/* Huge pages a container takes must be its own root's, whoever it says, or nobody could limit them. */
static void own_hugepages(const struct call *call, struct request *request)
{
	char data[LONGEST_PATH] = "", map[128] = "";
	unsigned inside, root = 0;
	int fd = openat(call->proc, "uid_map", O_RDONLY | O_CLOEXEC);
	size_t length = 0;

	if (fd < 0 || read(fd, map, sizeof(map) - 1) <= 0 || sscanf(map, "%u %u", &inside, &root) != 2 || inside != 0)
		root = 0;
	if (fd >= 0)
		close(fd);
	for (char *option = strtok(request->data, ","); option != NULL; option = strtok(NULL, ","))
		if (strncmp(option, "uid=", 4) != 0 && strncmp(option, "gid=", 4) != 0)
			length += snprintf(data + length, sizeof(data) - length, "%s,", option);
	if (length + 64 < sizeof(data))
		snprintf(data + length, sizeof(data) - length, "uid=%u,gid=%u", root, root);
	strcpy(request->data, data);
}

static int shift_mount(const char *target, int users)
{
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = users};
	int tree = syscall(SYS_open_tree, AT_FDCWD, target, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int error = 0;

	if (tree < 0 || syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
		error = errno;
	umount2(target, MNT_DETACH);
	if (error == 0 && syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		error = errno;
	return error;
}

/* Root's power reads the device, so the caller must be able to open it by itself. */
static bool may_open(const struct request *request, const struct caller *caller)
{
	int status = 0, fd;
	pid_t child = fork();

	if (child == 0) {
		if (!become(caller, 0))
			_exit(1);
		fd = open(request->source, (request->flags & MS_RDONLY ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC);
		_exit(fd < 0 && errno != ENOENT ? 1 : 0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void mount_directly(struct call *call, struct result *result, const struct request *request, const struct caller *caller, bool shift)
{
	int users = openat(call->proc, "ns/user", O_RDONLY | O_CLOEXEC);

	if (users < 0 || !enter(call, AT_FDCWD))
		return;
	result->decided = true;
	if (request->source[0] == '/' && !may_open(request, caller))
		result->error = EACCES;
	else if (mount(request->source, request->target, request->type, request->flags, request->data[0] == '\0' ? NULL : request->data) < 0)
		result->error = errno;
	else if (shift)
		result->error = shift_mount(request->target, users);
}

/* The program is the container's own: it must count, and end, with the container. */
static void join_cgroups(const struct call *call)
{
	char line[4096], path[8192];
	int fd = openat(call->proc, "cgroup", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		char *controllers = strchr(line, ':'), *cgroup = controllers == NULL ? NULL : strchr(controllers + 1, ':');
		int procs;

		if (cgroup == NULL)
			continue;
		*cgroup++ = '\0';
		cgroup[strcspn(cgroup, "\n")] = '\0';
		controllers += strncmp(controllers + 1, "name=", 5) == 0 ? 6 : 1;
		for (int unified = 0; unified < 2; unified++) {
			snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s/cgroup.procs", *controllers != '\0' ? controllers : unified ? "unified" : "", cgroup);
			procs = open(path, O_WRONLY | O_CLOEXEC);
			if (procs < 0)
				continue;
			dprintf(procs, "0\n");
			close(procs);
			break;
		}
	}
	fclose(file);
}

static void options_text(const struct request *request, char *text, size_t size)
{
	snprintf(text, size, "%s%s%s%s%s%s", request->flags & MS_RDONLY ? "ro" : "rw", request->flags & MS_NOSUID ? ",nosuid" : "",
		 request->flags & MS_NODEV ? ",nodev" : "", request->flags & MS_NOEXEC ? ",noexec" : "", request->data[0] == '\0' ? "" : ",", request->data);
}

static void run_fuse(const struct request *request, const char *program)
{
	char options[LONGEST_PATH + 64];
	int null;

	options_text(request, options, sizeof(options));
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	syscall(SYS_close_range, 3, ~0U, 0);
	alarm(0);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	clearenv();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	execlp(program, program, request->source, request->target, "-o", options, NULL);
	_exit(127);
}

static void mount_by_fuse(struct call *call, struct result *result, const struct request *request, const struct caller *caller, const char *program)
{
	static const struct { const char *name; int kind; } kinds[] = {
		{"ns/cgroup", CLONE_NEWCGROUP}, {"ns/ipc", CLONE_NEWIPC}, {"ns/net", CLONE_NEWNET}, {"ns/uts", CLONE_NEWUTS}, {"ns/pid", CLONE_NEWPID},
	};
	int users = openat(call->proc, "ns/user", O_RDONLY | O_CLOEXEC), status = 0;
	int namespaces[5];
	pid_t child;

	for (int i = 0; i < 5; i++)
		namespaces[i] = openat(call->proc, kinds[i].name, O_RDONLY | O_CLOEXEC);
	join_cgroups(call);
	if (users < 0 || !enter(call, AT_FDCWD))
		return;
	for (int i = 0; i < 5; i++)
		if (namespaces[i] < 0 || setns(namespaces[i], kinds[i].kind) < 0)
			return;
	/* Its own ids first, which have other numbers inside; from the user namespace on all power is over the container alone. */
	if (!become(caller, 1ULL << CAP_SYS_ADMIN) || setns(users, CLONE_NEWUSER) < 0)
		return;
	result->decided = true;
	result->error = EPERM;
	signal(SIGCHLD, SIG_DFL);
	child = fork();
	if (child == 0)
		run_fuse(request, program);
	if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status))
		result->error = WEXITSTATUS(status) == 0 ? 0 : WEXITSTATUS(status) == 127 ? ENOENT : EINVAL;
}

void emulate_mount(struct call *call, struct result *result)
{
	struct request request;
	struct caller caller;
	struct rules rules;

	if (!read_request(call, &request))
		return;
	read_rules(call->settings, request.type, &rules);
	if ((!rules.allowed && rules.fuse[0] == '\0') || !read_caller(call, &caller, CAP_SYS_ADMIN))
		return;
	if (strcmp(request.type, "hugetlbfs") == 0)
		own_hugepages(call, &request);
	signal(SIGCHLD, SIG_DFL);
	if (rules.fuse[0] != '\0')
		mount_by_fuse(call, result, &request, &caller, rules.fuse);
	else
		mount_directly(call, result, &request, &caller, rules.shift);
}

static int take_descriptor(const struct call *call, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, call->request->pid, 0);
	int own = pidfd < 0 || !still_waits(call) ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	if (pidfd >= 0)
		close(pidfd);
	return own;
}

static bool copy_attributes(const struct call *call, union bpf_attr *attributes)
{
	uint64_t size = call->request->data.args[2];

	memset(attributes, 0, sizeof(*attributes));
	return read_bytes(call, call->request->data.args[1], attributes, size < sizeof(*attributes) ? size : sizeof(*attributes));
}

/* A program on devices, loaded by us and handed to the caller as a descriptor of its own. */
static void load_program(struct call *call, struct result *result)
{
	struct seccomp_notif_addfd handed = {.id = call->request->id, .newfd_flags = O_CLOEXEC};
	union bpf_attr attributes, ours;
	char license[128] = "";
	void *instructions;
	int fd;

	if (call->notify < 0 || !copy_attributes(call, &attributes) || attributes.prog_type != BPF_PROG_TYPE_CGROUP_DEVICE || attributes.insn_cnt == 0 ||
	    attributes.insn_cnt > MOST_INSTRUCTIONS || !read_text(call, attributes.license, license, sizeof(license)))
		return;
	instructions = malloc(attributes.insn_cnt * sizeof(struct bpf_insn));
	if (instructions == NULL || !read_bytes(call, attributes.insns, instructions, attributes.insn_cnt * sizeof(struct bpf_insn)))
		return;
	memset(&ours, 0, sizeof(ours));
	ours.prog_type = attributes.prog_type;
	ours.insn_cnt = attributes.insn_cnt;
	ours.insns = (uint64_t)(uintptr_t)instructions;
	ours.license = (uint64_t)(uintptr_t)license;
	ours.prog_flags = attributes.prog_flags;
	memcpy(ours.prog_name, attributes.prog_name, sizeof(ours.prog_name));
	ours.expected_attach_type = attributes.expected_attach_type;
	if (!still_waits(call))
		return;
	result->decided = true;
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &ours, sizeof(ours));
	if (fd < 0) {
		result->error = errno;
		return;
	}
	handed.srcfd = fd;
	result->value = ioctl(call->notify, SECCOMP_IOCTL_NOTIF_ADDFD, &handed);
	if (result->value < 0) {
		result->value = 0;
		result->error = EMFILE;
	}
}

/* Onto, or off, a cgroup the caller holds open. The kernel keeps a program of an ancestor in force. */
static void attach_program(struct call *call, struct result *result, int command)
{
	union bpf_attr attributes, ours;

	if (!copy_attributes(call, &attributes) || attributes.attach_type != BPF_CGROUP_DEVICE)
		return;
	memset(&ours, 0, sizeof(ours));
	ours.target_fd = take_descriptor(call, attributes.target_fd);
	ours.attach_bpf_fd = take_descriptor(call, attributes.attach_bpf_fd);
	ours.attach_type = attributes.attach_type;
	ours.attach_flags = attributes.attach_flags;
	if ((int)ours.target_fd < 0 || (int)ours.attach_bpf_fd < 0)
		return;
	result->decided = true;
	result->error = syscall(SYS_bpf, command, &ours, sizeof(ours)) < 0 ? errno : 0;
}

static bool bpf_allowed(const char *path)
{
	char line[512];
	bool allowed = false;
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL)
		allowed = allowed || strcmp(line, "bpf-devices\n") == 0;
	fclose(file);
	return allowed;
}

void emulate_bpf(struct call *call, struct result *result)
{
	struct caller caller;
	int command = (int)call->request->data.args[0];

	if (!bpf_allowed(call->settings) || !read_caller(call, &caller, CAP_SYS_ADMIN))
		return;
	if (command == BPF_PROG_LOAD)
		load_program(call, result);
	else if (command == BPF_PROG_ATTACH || command == BPF_PROG_DETACH)
		attach_program(call, result, command);
}
