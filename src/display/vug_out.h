/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What is being sent on a display channel: one or more messages that belong
 * together, and the pixels of the last one, straight from their frame: lent
 * where that pays (vug_loans.h), else copied by the kernel. Or, with the first
 * one, a buffer's descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "display/vug_loans.h"
#include "display/vug_wire.h"
#include "util/dmabuf.h"
#include "util/frame.h"

struct vug_out {
	size_t head_bytes;
	struct frame *frame; /* owned reference; NULL: the head is all */
	struct rect pixels;  /* in the frame */
	struct dmabuf *dmabuf; /* owned reference: goes with the first byte; or NULL */
	bool is_lending;     /* its pixels are lent */
	bool has_lent;	     /* some were */
	uint64_t total_bytes, sent_bytes; /* of these messages */
	uint64_t channel_bytes;		  /* sent on this channel, all told */
	struct vug_loans loans;
	char head[sizeof(struct vug_header) + sizeof(struct vug_cursor_update)];
};

void vug_out_init(struct vug_out *out);

bool vug_out_is_empty(const struct vug_out *out);

/* Append a message; only before the first send. Its payload may go on with pixels. */
void vug_out_add(struct vug_out *out, enum vug_request request, const void *payload,
		 size_t payload_bytes);
void vug_out_add_update(struct vug_out *out, const struct vug_update *update,
			struct frame *consume_frame, const struct rect *pixels);

/* The same, with dmabuf's descriptor; it is the first message then. */
void vug_out_add_dmabuf(struct vug_out *out, enum vug_request request, const void *payload,
			size_t payload_bytes, struct dmabuf *dmabuf);

/* The channel is gone: forget what was not sent, and end all loans. */
void vug_out_clear(struct vug_out *out);

/* Let go of the frames that the front-end has read. */
void vug_out_settle(struct vug_out *out, int fd);

/*
 * Without waiting, and about max_bytes at most. 0: all out, and empty again;
 * -EAGAIN: go on later; else -errno.
 */
int vug_out_send(struct vug_out *out, int fd, uint64_t max_bytes) G_GNUC_WARN_UNUSED_RESULT;
