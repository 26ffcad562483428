/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A pipe, whose two ends have flags of their own: whatever the writer does to
 * its end, the reader does not wait. Nor does the writer, for a library that
 * says much must not stop its guest; what has no room is lost.
 */
#include "engine/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/log.h"

#define READS_PER_WAKEUP 4

void relay_init(struct relay *relay)
{
	*relay = (struct relay){ .fd = -1, .write_fd = -1 };
}

int relay_open(struct relay *relay)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		return -errno;
	}
	relay->fd = fds[0];
	relay->write_fd = fds[1];
	return 0;
}

int relay_become_stderr(const struct relay *relay)
{
	if (relay->write_fd < 0) {
		return 0;
	}
	if (dup2(relay->write_fd, STDERR_FILENO) < 0) {
		return -errno;
	}
	close(relay->write_fd);
	return 0;
}

static void end_line(struct relay *relay)
{
	if (relay->length > 0) {
		log_relay(relay->pid, relay->line, relay->length);
		relay->length = 0;
	}
}

/* Longer lines come in pieces. */
static void take(struct relay *relay, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n' || relay->length == sizeof(relay->line)) {
			end_line(relay);
		}
		if (bytes[i] != '\n') {
			relay->line[relay->length++] = bytes[i];
		}
	}
}

/* False: there is no more for now. */
static bool read_some(struct relay *relay)
{
	char bytes[4096];
	ssize_t n = read(relay->fd, bytes, sizeof(bytes));

	if (n <= 0) {
		return false;
	}
	take(relay, bytes, (size_t)n);
	return true;
}

static void dispatch(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct relay *relay = data;

	for (unsigned int i = 0; i < READS_PER_WAKEUP && read_some(relay); i++) {
	}
}

int relay_start(struct relay *relay, struct loop *loop)
{
	if (relay->fd < 0) {
		return 0;
	}
	relay->source = (struct loop_source){ .dispatch = dispatch, .data = relay };
	return loop_add(loop, &relay->source, relay->fd, EPOLLIN);
}

/* A pipe holds so much; who has ended adds nothing. */
#define MAX_LEFT_READS 32

void relay_end_process(struct relay *relay)
{
	for (unsigned int i = 0; relay->fd >= 0 && i < MAX_LEFT_READS && read_some(relay); i++) {
	}
	end_line(relay);
}

void relay_finish(struct relay *relay, struct loop *loop)
{
	if (relay->fd >= 0) {
		loop_remove(loop, &relay->source);
		close(relay->fd);
		close(relay->write_fd);
	}
	relay_init(relay);
}
