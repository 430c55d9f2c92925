/*
 * What is left to a program behind the filters of the file server: confines itself, then prints what each call was answered with. Compiled
 * together with the filter itself. An argument: `listener` or `connection`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void confine_listener(void);
void confine_connection(void);

static void tell(const char *name, long result)
{
	printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "allowed");
}

int main(int argc, char **argv)
{
	char *const nothing[] = {NULL};
	int child;

	if (argc != 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 2;
	/* Output that needs nothing of the filters but write. */
	setvbuf(stdout, (char[4096]){0}, _IOFBF, 4096);
	confine_listener();
	if (strcmp(argv[1], "connection") == 0)
		confine_connection();
	tell("openat2", syscall(SYS_openat2, AT_FDCWD, "/", &(long[3]){O_PATH}, 24L));
	tell("execve", syscall(SYS_execve, "/bin/true", nothing, nothing));
	tell("socket", syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
	tell("ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
	tell("process_vm_readv", syscall(SYS_process_vm_readv, getpid(), 0, 0, 0, 0, 0));
	tell("mount", syscall(SYS_mount, "none", "/", "tmpfs", 0, 0));
	tell("unshare", syscall(SYS_unshare, CLONE_NEWUSER));
	tell("setns", syscall(SYS_setns, 0, 0));
	tell("mknodat", syscall(SYS_mknodat, AT_FDCWD, "/tmp/no", 0, 0));
	tell("bpf", syscall(SYS_bpf, 0, 0, 0));
	tell("io_uring_setup", syscall(SYS_io_uring_setup, 1, 0));
	tell("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, 0, 0));
	tell("clone3", syscall(SYS_clone3, 0, 0));
	tell("clone into a namespace", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	tell("memory to run", mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	tell("memory", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		_exit(0);
	tell("fork", child);
	tell("wait4", syscall(SYS_wait4, child, 0, 0, 0));
	tell("kill", syscall(SYS_kill, getpid(), 0));
	tell("seccomp", syscall(SYS_seccomp, 2, 0, 0));
	fflush(stdout);
	return 0;
}
