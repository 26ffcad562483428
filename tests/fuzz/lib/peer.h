/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A front-end's end of a vhost-user connection: sends whatever it is given,
 * and keeps an eye on the replies, each of which has to be a reply to a
 * request that was sent, in the order of the requests.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_MAX_FDS 10u

struct peer {
	int fd;		     /* owned; -1: hung up */
	bool is_framed;	     /* what was sent so far is whole messages */
	bool has_violated;   /* on purpose: replies are of no interest any more */
	GQueue requests;     /* numbers, not yet replied to; most never are */
	uint32_t last_reply; /* the request that the last one was for */
	size_t n_buffered;
	uint8_t buffer[4096]; /* of replies */
};

void peer_init(struct peer *peer, int consume_fd);
void peer_finish(struct peer *peer);
void peer_hang_up(struct peer *peer);

/* Bytes with descriptors, which stay the caller's; as many bytes as the socket takes. */
void peer_send(struct peer *peer, const void *bytes, size_t size_bytes, const int *fds_borrow,
	       unsigned int n_fds);
/* A whole message; with_reply: flag it NEED_REPLY. */
void peer_send_message(struct peer *peer, uint32_t request, bool with_reply, const void *payload,
		       uint32_t size_bytes, const int *fds_borrow, unsigned int n_fds);
/* Whether what was sent has all been received. */
bool peer_is_read(const struct peer *peer);

/* Take what has come, and check it. */
void peer_take_replies(struct peer *peer);
