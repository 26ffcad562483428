/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "peer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/sock.h"
#include "vhost/wire.h"

#define NEED_REPLY_FLAGS (VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY)

void peer_init(struct peer *peer, int consume_fd)
{
	*peer = (struct peer){ .fd = consume_fd, .is_framed = true };
	g_queue_init(&peer->requests);
}

void peer_finish(struct peer *peer)
{
	peer_hang_up(peer);
	g_queue_clear(&peer->requests);
}

void peer_hang_up(struct peer *peer)
{
	if (peer->fd >= 0) {
		close(peer->fd);
		peer->fd = -1;
	}
}

void peer_send(struct peer *peer, const void *bytes, size_t size_bytes, const int *fds_borrow,
	       unsigned int n_fds)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(PEER_MAX_FDS * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, size_bytes };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (peer->fd < 0 || size_bytes == 0) {
		return;
	}
	if (n_fds > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds_borrow, n_fds * sizeof(int));
	}
	ssize_t n = sendmsg(peer->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n != (ssize_t)size_bytes) {
		peer->is_framed = false;
	}
}

void peer_send_message(struct peer *peer, uint32_t request, bool with_reply, const void *payload,
		       uint32_t size_bytes, const int *fds_borrow, unsigned int n_fds)
{
	char bytes[sizeof(struct vhost_user_header) + 1024];
	const struct vhost_user_header header = {
		.request = request,
		.flags = with_reply ? NEED_REPLY_FLAGS : VHOST_USER_VERSION,
		.size = size_bytes,
	};

	g_assert_cmpuint(size_bytes, <=, 1024);
	memcpy(bytes, &header, sizeof(header));
	if (size_bytes > 0) {
		memcpy(bytes + sizeof(header), payload, size_bytes);
	}
	g_queue_push_tail(&peer->requests, GUINT_TO_POINTER(request));
	peer_send(peer, bytes, sizeof(header) + size_bytes, fds_borrow, n_fds);
}

bool peer_is_read(const struct peer *peer)
{
	return peer->fd < 0 || sock_unread_bytes(peer->fd) == 0;
}

/* It answers one of those that are still open, and none before that will be answered. */
static void take_reply(struct peer *peer, const struct vhost_user_header *header)
{
	g_assert_cmphex(header->flags, ==, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY);
	g_assert_cmpuint(header->size, <=, sizeof(struct vhost_user_shmem_config));
	while (peer->is_framed) {
		g_assert_false(g_queue_is_empty(&peer->requests));
		if (GPOINTER_TO_UINT(g_queue_pop_head(&peer->requests)) == header->request) {
			break;
		}
	}
	peer->last_reply = header->request;
}

/* The first message of the buffer. False: it is not all there. */
static bool take_message(struct peer *peer)
{
	struct vhost_user_header header;

	if (peer->n_buffered < sizeof(header)) {
		return false;
	}
	memcpy(&header, peer->buffer, sizeof(header));
	size_t size = sizeof(header) + header.size;
	if (size <= sizeof(peer->buffer) && peer->n_buffered < size) {
		return false;
	}
	take_reply(peer, &header);
	peer->n_buffered -= size;
	memmove(peer->buffer, peer->buffer + size, peer->n_buffered);
	return true;
}

void peer_take_replies(struct peer *peer)
{
	ssize_t n;

	while (peer->fd >= 0) {
		n = recv(peer->fd, peer->buffer + peer->n_buffered,
			 sizeof(peer->buffer) - peer->n_buffered, MSG_DONTWAIT);
		if (n <= 0) {
			break;
		}
		peer->n_buffered += (size_t)n;
		while (take_message(peer)) {
		}
	}
}
