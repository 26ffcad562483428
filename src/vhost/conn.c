/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhost/conn.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"

static void message_clear(struct conn_message *message)
{
	message->n_fds = 0;
	for (size_t i = 0; i < SOCK_MAX_FDS; i++) {
		message->fds[i] = -1;
	}
}

void conn_init(struct conn *conn, int consume_fd)
{
	*conn = (struct conn){ .fd = consume_fd };
	message_clear(&conn->message);
}

void conn_finish(struct conn *conn)
{
	conn_message_finish(&conn->message);
	if (conn->fd >= 0) {
		close(conn->fd);
		conn->fd = -1;
	}
}

void conn_message_finish(struct conn_message *message)
{
	for (size_t i = 0; i < message->n_fds; i++) {
		if (message->fds[i] >= 0) {
			close(message->fds[i]);
		}
	}
	message_clear(message);
}

int conn_message_take_fd(struct conn_message *message, size_t i)
{
	if (i >= message->n_fds) {
		return -1;
	}
	int fd = message->fds[i];
	message->fds[i] = -1;
	return fd;
}

/* Keep the descriptors that came with a part of the message; the surplus is closed. */
static void keep_fds(struct conn_message *message, const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++) {
		if (message->n_fds >= SOCK_MAX_FDS) {
			close(fds[i]);
			continue;
		}
		message->fds[message->n_fds++] = fds[i];
	}
}

/* Receive until the message has wanted_bytes in all. */
static enum conn_status receive_until(struct conn *conn, size_t wanted_bytes)
{
	while (conn->received_bytes < wanted_bytes) {
		size_t header_bytes = sizeof(conn->message.header);
		int fds[SOCK_MAX_FDS];
		size_t n_fds = 0;
		char *to;

		if (conn->received_bytes < header_bytes) {
			to = (char *)&conn->message.header + conn->received_bytes;
		} else {
			to = (char *)&conn->message.payload + (conn->received_bytes - header_bytes);
		}
		ssize_t n = sock_receive(conn->fd, to, wanted_bytes - conn->received_bytes, fds,
					 &n_fds);
		if (n == -EAGAIN) {
			return CONN_E_AGAIN;
		}
		if (n == -ECONNRESET || n == -EPIPE || n == 0) {
			if (conn->received_bytes > 0) {
				log_warn("front-end hung up inside a message");
			}
			return CONN_E_CLOSED;
		}
		if (n < 0) {
			log_warn("receiving from the front-end: %s", g_strerror((int)-n));
			return CONN_E_VIOLATION;
		}
		keep_fds(&conn->message, fds, n_fds);
		conn->received_bytes += (size_t)n;
	}
	return CONN_OK;
}

enum conn_status conn_receive(struct conn *conn, struct conn_message *message_out)
{
	struct vhost_user_header *header = &conn->message.header;
	enum conn_status status = receive_until(conn, sizeof(*header));

	if (status != CONN_OK) {
		return status;
	}
	if ((header->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	    (header->flags & VHOST_USER_FLAG_REPLY)) {
		log_warn("request %u with flags 0x%x: not a vhost-user request", header->request,
			 header->flags);
		return CONN_E_VIOLATION;
	}
	if (header->size > sizeof(conn->message.payload)) {
		log_warn("request %u of %u bytes: longer than any request", header->request,
			 header->size);
		return CONN_E_VIOLATION;
	}
	status = receive_until(conn, sizeof(*header) + header->size);
	if (status != CONN_OK) {
		return status;
	}
	*message_out = conn->message;
	message_clear(&conn->message);
	conn->received_bytes = 0;
	return CONN_OK;
}

enum conn_status conn_reply(struct conn *conn, const struct conn_message *request,
			    const void *payload, size_t size_bytes)
{
	struct vhost_user_header header = {
		.request = request->header.request,
		.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY,
		.size = (uint32_t)size_bytes,
	};
	struct iovec iov[] = {
		{ &header, sizeof(header) },
		{ (void *)(uintptr_t)payload, size_bytes },
	};
	ssize_t n = sock_send(conn->fd, iov, G_N_ELEMENTS(iov), -1);

	if (n == (ssize_t)(sizeof(header) + size_bytes)) {
		return CONN_OK;
	}
	if (n == -EPIPE || n == -ECONNRESET) {
		return CONN_E_CLOSED;
	}
	log_warn("the front-end does not read the reply to request %u: %s", header.request,
		 n < 0 ? g_strerror((int)-n) : "socket full");
	return CONN_E_VIOLATION;
}
