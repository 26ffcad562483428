/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One vhost-user connection: whole messages with their descriptors, in and
 * out, without ever waiting. Knows the framing, not what requests mean.
 */
#pragma once

#include <glib.h>
#include <stddef.h>

#include "util/sock.h"
#include "vhost/wire.h"

enum conn_status {
	CONN_OK = 0,
	CONN_E_AGAIN,	  /* the rest of the message has not come yet */
	CONN_E_CLOSED,	  /* the front-end hung up between messages */
	CONN_E_VIOLATION, /* logged; the stream can't be trusted any more */
};

struct conn_message {
	struct vhost_user_header header;
	union vhost_user_payload payload; /* header.size bytes of it are filled */
	int fds[SOCK_MAX_FDS];		  /* owned; -1 once taken */
	size_t n_fds;
};

struct conn {
	int fd; /* owned */
	struct conn_message message; /* being received */
	size_t received_bytes;	     /* of header and payload together */
};

void conn_init(struct conn *conn, int consume_fd);
void conn_finish(struct conn *conn);

/* On CONN_OK the caller owns *message_out and calls conn_message_finish() on it. */
enum conn_status conn_receive(struct conn *conn, struct conn_message *message_out)
	G_GNUC_WARN_UNUSED_RESULT;

/* Close what was not taken. */
void conn_message_finish(struct conn_message *message);

/* The i-th descriptor, now the caller's; -1 if there is none. */
int conn_message_take_fd(struct conn_message *message, size_t i);

/* A front-end that does not read its replies is a violation. */
enum conn_status conn_reply(struct conn *conn, const struct conn_message *request,
			    const void *payload, size_t size_bytes) G_GNUC_WARN_UNUSED_RESULT;
