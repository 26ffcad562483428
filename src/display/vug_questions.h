/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the device asks of the front-end's display. Each question is answered
 * to the listener exactly once: by the front-end, by its hang-up, or by the
 * clock. QEMU never answers GET_EDID for an output that it does not have, so
 * each is followed by GET_DISPLAY_INFO, whose answer shows that none will come.
 *
 * vug_questions_ask() is for any thread, the rest for the display thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "display/display.h"
#include "display/vug_out.h"
#include "display/vug_wire.h"

enum vug_question_kind {
	VUG_ASK_PROTOCOL_FEATURES,
	VUG_ASK_INFO,
	VUG_ASK_EDID,
	VUG_ASK_BARRIER, /* GET_DISPLAY_INFO behind a GET_EDID */
};

struct vug_questions {
	const struct display *display; /* borrowed, for its listener */
	int n_open;		       /* atomic: asked by the device, not yet replied to */
	GMutex lock;
	GQueue asked;	/* struct question, owned, under the lock; not yet sent */
	GQueue awaited; /* struct question, owned, the display thread's; sent, in order */
};

void vug_questions_init(struct vug_questions *q, const struct display *display);
void vug_questions_finish(struct vug_questions *q);

/* kind: INFO or EDID. False: too many are open, ask nobody. */
bool vug_questions_ask(struct vug_questions *q, enum vug_question_kind kind, uint64_t token,
		       uint32_t scanout_id);

/* Put GET_PROTOCOL_FEATURES into out. */
void vug_questions_negotiate(struct vug_questions *q, struct vug_out *out);

/*
 * Put the next question into out; false if there is none. EDID ones wait until
 * the channel is negotiated, and are answered "none" if it has no EDID.
 */
bool vug_questions_pick(struct vug_questions *q, bool is_negotiated, bool has_edid,
			struct vug_out *out);

/* False: nobody asked for this. *is_negotiation_out: it was about protocol features. */
bool vug_questions_take_reply(struct vug_questions *q, const struct vug_header *header,
			      const union vug_reply *reply, bool *is_negotiation_out);

/*
 * The channel is gone: what was sent on it is answered "none"; so is what was
 * not, unless has_successor: then it waits for the channel that follows.
 */
void vug_questions_drop(struct vug_questions *q, bool has_successor);

/* Answer the late ones "none". Returns microseconds until the next is late, or -1. */
gint64 vug_questions_expire(struct vug_questions *q);
