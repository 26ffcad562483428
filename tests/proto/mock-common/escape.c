/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A library that its guest has taken over: it tries to get out of the process
 * it is in, in the plain ways that an intruder would try first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#define MAX_FDS 1024

/* What the attempt came to; the stream goes on. */
static int tell(const struct mock_command *command, long result)
{
	mock_put_result(command, 0, result < 0 ? (uint32_t)errno : 0);
	return 0;
}

static int op_open(const struct mock_command *command)
{
	int flags = (int)mock_arg(command, 0);
	int fd = open(mock_arg_text(command, 1), flags, 0600);
	long result = fd;
	char byte = 'x';

	if (fd >= 0 && (flags & O_ACCMODE) != O_RDONLY) {
		result = write(fd, &byte, 1);
	}
	tell(command, result);
	if (fd >= 0) {
		close(fd);
	}
	return 0;
}

static int op_connect(const struct mock_command *command)
{
	const char *path = mock_arg_text(command, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return tell(command, -1);
	}
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (path[0] == '@') {
		address.sun_path[0] = '\0';
	}
	tell(command, connect(fd, (struct sockaddr *)&address, length));
	close(fd);
	return 0;
}

static int op_socket(const struct mock_command *command)
{
	int fd = socket((int)mock_arg(command, 0), (int)mock_arg(command, 1), 0);

	tell(command, fd);
	if (fd >= 0) {
		close(fd);
	}
	return 0;
}

static int op_fork(const struct mock_command *command)
{
	pid_t pid = fork();

	if (pid == 0) {
		_exit(0);
	}
	tell(command, pid);
	if (pid > 0) {
		waitpid(pid, NULL, 0);
	}
	return 0;
}

/* Not waited for: where it is let out, there is no library any more. */
static int op_exec(const struct mock_command *command)
{
	const char *path = mock_arg_text(command, 0);

	return tell(command, execl(path, path, (char *)NULL));
}

static int op_kill(const struct mock_command *command)
{
	return tell(command, kill((pid_t)mock_arg(command, 0), (int)mock_arg(command, 1)));
}

static int op_syscall(const struct mock_command *command)
{
	return tell(command, syscall((long)mock_arg(command, 0), mock_arg(command, 1),
				     mock_arg(command, 2), mock_arg(command, 3),
				     mock_arg(command, 4), 0));
}

static int op_say(const struct mock_command *command)
{
	const char *text = mock_arg_text(command, 1);

	for (uint32_t i = 0; i < mock_arg(command, 0); i++) {
		ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
		(void)ignored;
	}
	return tell(command, ftruncate(STDERR_FILENO, 0));
}

static int op_count_fds(const struct mock_command *command)
{
	uint32_t n = 0, n_streams = 0;

	for (int fd = 0; fd < MAX_FDS; fd++) {
		int type = 0;
		socklen_t length = sizeof(type);

		n += fcntl(fd, F_GETFD) >= 0;
		n_streams += getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
			     type == SOCK_STREAM;
	}
	mock_put_result(command, 0, n);
	mock_put_result(command, 1, n_streams);
	return 0;
}

/* A line of /proc/self/status, as a number to base 16. */
static uint64_t read_status(const char *name)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (fd >= 0) {
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	const char *line = strstr(text, name);
	return line != NULL ? strtoull(line + strlen(name), NULL, 16) : UINT32_MAX;
}

static int op_get_privileges(const struct mock_command *command)
{
	struct rlimit core = {1, 1};

	getrlimit(RLIMIT_CORE, &core);
	mock_put_result(command, 0,
			(read_status("CapInh:") | read_status("CapPrm:") | read_status("CapEff:") |
			 read_status("CapBnd:") | read_status("CapAmb:")) != 0);
	mock_put_result(command, 1, (uint32_t)read_status("NoNewPrivs:"));
	mock_put_result(command, 2, (uint32_t)core.rlim_max);
	mock_put_result(command, 3, (uint32_t)read_status("Seccomp:"));
	return 0;
}

const struct mock_op mock_escape_ops[] = {
	{MOCK_ESCAPE_OPEN, op_open},
	{MOCK_ESCAPE_CONNECT, op_connect},
	{MOCK_ESCAPE_SOCKET, op_socket},
	{MOCK_ESCAPE_FORK, op_fork},
	{MOCK_ESCAPE_EXEC, op_exec},
	{MOCK_ESCAPE_KILL, op_kill},
	{MOCK_ESCAPE_SYSCALL, op_syscall},
	{MOCK_SAY, op_say},
	{MOCK_COUNT_FDS, op_count_fds},
	{MOCK_GET_PRIVILEGES, op_get_privileges},
	{0, NULL},
};
