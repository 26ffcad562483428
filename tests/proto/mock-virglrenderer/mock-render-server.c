/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * In the place of virgl_render_server: takes its option, lives until its
 * connection is closed, and does what the mock library tells it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mock_virgl.h"

#define OPTION "--socket-fd="

/* Nothing but SIGKILL ends it, and not the end of any connection. */
static void wait_for_ever(void)
{
	for (int number = 1; number < NSIG; number++) {
		signal(number, SIG_IGN);
	}
	prctl(PR_SET_NAME, "mock-context");
	for (;;) {
		pause();
	}
}

static int done(long result)
{
	return result < 0 ? errno : 0;
}

/* In a process of its own, as a context is. */
static int try(uint32_t order)
{
	switch (order) {
	case MOCK_SERVER_OPEN:
		return done(open("/etc/passwd", O_RDONLY));
	case MOCK_SERVER_WRITE:
		return done(open("/tmp/mock-render-server", O_WRONLY | O_CREAT, 0600));
	case MOCK_SERVER_SOCKET:
		return done(socket(AF_UNIX, SOCK_STREAM, 0));
	case MOCK_SERVER_EXEC:
		return done(execl("/bin/true", "true", (char *)NULL));
	case MOCK_SERVER_GROUP:
		return done(setpgid(0, 0));
	case MOCK_SERVER_SIGNAL:
		return done(kill(1, 0));
	case MOCK_SERVER_PTRACE:
	default:
		return done(syscall(SYS_ptrace, 0, 0, 0, 0));
	}
}

static int32_t try_in_child(uint32_t order)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		_exit(try(order));
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int32_t obey(uint32_t order)
{
	pid_t pid;

	if (order >= MOCK_SERVER_OPEN) {
		return try_in_child(order);
	}
	switch (order) {
	case MOCK_SERVER_DIE:
		signal(SIGABRT, SIG_DFL);
		abort();
	case MOCK_SERVER_EXIT:
		exit(3);
	case MOCK_SERVER_FORK:
		pid = fork();
		if (pid == 0) {
			wait_for_ever();
		}
		return pid;
	case MOCK_SERVER_GET_PID:
	default:
		return getpid();
	}
}

int main(int argc, char **argv)
{
	uint32_t order;

	if (argc != 2 || strncmp(argv[1], OPTION, strlen(OPTION)) != 0) {
		return 2;
	}
	int fd = atoi(argv[1] + strlen(OPTION));

	while (recv(fd, &order, sizeof(order), 0) == (ssize_t)sizeof(order)) {
		int32_t result = obey(order);

		if (send(fd, &result, sizeof(result), MSG_NOSIGNAL) < 0) {
			return 1;
		}
	}
	return 0;
}
