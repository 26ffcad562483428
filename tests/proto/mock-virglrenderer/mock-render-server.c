/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * In the place of virgl_render_server: takes its option, lives until its
 * connection is closed, and does what the mock library tells it.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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

static int32_t obey(uint32_t order)
{
	pid_t pid;

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
