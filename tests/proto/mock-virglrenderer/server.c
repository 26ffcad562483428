/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The connection to mock-render-server.c, which does what a stream tells it by way of us. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mock.h"

static int server_fd = -1;

/* -1: it does not answer. */
static int ask(uint32_t order, int32_t *result)
{
	if (send(server_fd, &order, sizeof(order), MSG_NOSIGNAL) != (ssize_t)sizeof(order) ||
	    recv(server_fd, result, sizeof(*result), 0) != (ssize_t)sizeof(*result)) {
		return -1;
	}
	return 0;
}

void mock_server_start(int fd)
{
	server_fd = fd;
}

bool mock_server_is_there(void)
{
	int32_t pid;

	return server_fd >= 0 && ask(MOCK_SERVER_GET_PID, &pid) == 0;
}

void mock_server_stop(void)
{
	if (server_fd >= 0) {
		close(server_fd);
	}
	server_fd = -1;
}

static int op_server(const struct mock_command *command)
{
	int32_t result = 0;

	if (ask(mock_arg(command, 0), &result) < 0) {
		return EPIPE;
	}
	mock_put_result(command, 0, (uint32_t)result);
	return 0;
}

const struct mock_op mock_server_ops[] = {
	{ MOCK_SERVER, op_server },
	{ 0, NULL },
};
