/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "engine/link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The kernel takes a message that is no longer than the buffer. It doubles what
 * it is asked for, cut to wmem_max, which is 212,992 unless somebody changed it.
 */
#define BUFFER_BYTES (512 << 10)
#define SURE_BYTES (2 * 212992)

G_STATIC_ASSERT(LINK_MAX_BYTES < SURE_BYTES - 1024);

int link_create(int pair_out[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair_out) < 0) {
		return -errno;
	}
	for (size_t i = 0; i < 2; i++) {
		sock_set_send_buffer(pair_out[i], BUFFER_BYTES);
	}
	return 0;
}

int link_send(int fd, enum link_type type, const void *head, size_t head_bytes, const void *body,
	      size_t body_bytes, const int *fds, size_t n_fds)
{
	uint64_t number = type;
	const struct iovec iov[] = {
		{ &number, sizeof(number) },
		{ (void *)(uintptr_t)head, head_bytes },
		{ (void *)(uintptr_t)body, body_bytes },
	};
	ssize_t n = sock_send_fds(fd, iov, G_N_ELEMENTS(iov), fds, n_fds);

	return n < 0 ? (int)n : 0;
}

int link_send_wait(int fd, enum link_type type, const void *head, size_t head_bytes,
		   const void *body, size_t body_bytes, const int *fds, size_t n_fds)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
	int error;

	while ((error = link_send(fd, type, head, head_bytes, body, body_bytes, fds, n_fds)) ==
	       -EAGAIN) {
		poll(&pollfd, 1, -1);
	}
	return error;
}

int link_receive(int fd, void *buffer, struct link_message *message_out)
{
	struct link_message message = { 0 };
	uint64_t number;
	ssize_t n = sock_receive(fd, buffer, LINK_MAX_BYTES, message.fds, &message.n_fds);

	if (n < 0) {
		return n == -ECONNRESET ? -EPIPE : (int)n;
	}
	if ((size_t)n < sizeof(number)) {
		/* An empty one looks like the end, but may carry descriptors. */
		link_message_finish(&message);
		return n == 0 ? -EPIPE : -EBADMSG;
	}
	memcpy(&number, buffer, sizeof(number));
	message.type = number;
	message.body = (const char *)buffer + sizeof(number);
	message.size_bytes = (size_t)n - sizeof(number);
	*message_out = message;
	return 0;
}

const void *link_body(const struct link_message *message, size_t size_bytes)
{
	return message->size_bytes == size_bytes ? message->body : NULL;
}

int link_take_fd(struct link_message *message, size_t i)
{
	int fd = message->fds[i];

	message->fds[i] = -1;
	return fd;
}

void link_message_finish(struct link_message *message)
{
	for (size_t i = 0; i < message->n_fds; i++) {
		if (message->fds[i] >= 0) {
			close(message->fds[i]);
		}
	}
	message->n_fds = 0;
}
