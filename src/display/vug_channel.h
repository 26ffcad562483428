/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The sending end of a display channel: turns wishes and questions into
 * messages, and knows what the front-end has been shown. Whoever calls holds
 * the channel's lock (vhost_user_gpu.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "display/display.h"
#include "display/vug_out.h"
#include "display/vug_questions.h"
#include "display/vug_wishes.h"

struct vug_channel {
	bool wants_dmabufs; /* for all channels */
	uint32_t outputs;   /* a bit for each that the front-end said it has, for all channels */
	int socket; /* owned, or -1 */
	bool is_negotiated;
	bool is_acceptance_due; /* SET_PROTOCOL_FEATURES */
	uint64_t protocol_features;
	enum dmabuf_kinds dmabufs; /* that this front-end is given */
	unsigned int n_unanswered; /* buffers in a row that were given up */
	bool is_answer_late;	   /* the last of them still is */
	gint64 flight_since_us;	   /* when the buffer in flight was begun to be sent */
	/* What the front-end has: a surface, or a buffer. */
	struct {
		uint32_t width, height; /* of the surface; 0: none that is shown */
		uint64_t dmabuf_id;	/* 0: none; it may have one of a channel before this one */
		bool had_dmabuf;	/* on any channel */
	} surfaces[DISPLAY_MAX_SCANOUTS];
	struct vug_out out;
};

void vug_channel_init(struct vug_channel *channel, bool wants_dmabufs);
void vug_channel_open(struct vug_channel *channel, int consume_fd);
void vug_channel_close(struct vug_channel *channel);

/* The front-end said what it offers. */
void vug_channel_negotiate(struct vug_channel *channel, uint64_t offered_features);

/*
 * The front-end has drawn a buffer. False: none was in flight. *has_changed_out:
 * channel->dmabufs is another.
 */
bool vug_channel_land(struct vug_channel *channel, struct vug_wishes *wishes,
		      bool *has_changed_out);
/*
 * Microseconds until what is in flight is given up, -1: nothing is, or no
 * more. 0: it is now, and channel->dmabufs is NONE.
 */
gint64 vug_channel_expire(struct vug_channel *channel, struct vug_wishes *wishes);

/*
 * Send without waiting until there is nothing to say (0), or the socket is full
 * or max_bytes of one picture are out (-EAGAIN); else -errno, and the channel
 * is of no more use. questions may be NULL: they are left for another time.
 */
int vug_channel_pump(struct vug_channel *channel, struct vug_wishes *wishes,
		     struct vug_questions *questions, uint64_t max_bytes)
	G_GNUC_WARN_UNUSED_RESULT;
