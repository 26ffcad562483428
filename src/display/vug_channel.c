/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "display/vug_channel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "util/sock.h"

/*
 * What may be under way and unread. Enough that the front-end seldom waits for
 * us while it reads a large picture, and little enough that what is on its way
 * is not old when it gets there.
 */
#define SEND_BUFFER_BYTES (1 << 20)

void vug_channel_init(struct vug_channel *channel)
{
	*channel = (struct vug_channel){ .socket = -1 };
	vug_out_init(&channel->out);
}

void vug_channel_open(struct vug_channel *channel, int consume_fd)
{
	channel->socket = consume_fd;
	sock_set_send_buffer(consume_fd, SEND_BUFFER_BYTES);
	/* splice(2) asks the descriptor whether it may wait. */
	int error = sock_set_nonblocking(consume_fd);
	if (error < 0) {
		log_warn("the display socket can't be made non-blocking: %s", g_strerror(-error));
		channel->out.loans.is_unavailable = true;
	}
}

void vug_channel_close(struct vug_channel *channel)
{
	if (channel->socket >= 0) {
		close(channel->socket);
		channel->socket = -1;
	}
	vug_out_clear(&channel->out);
	memset(channel->surfaces, 0, sizeof(channel->surfaces));
	channel->is_negotiated = false;
	channel->is_acceptance_due = false;
	channel->protocol_features = 0;
}

void vug_channel_negotiate(struct vug_channel *channel, uint64_t offered_features)
{
	channel->protocol_features = offered_features & 1u << VUG_PROTOCOL_F_EDID;
	channel->is_negotiated = true;
	channel->is_acceptance_due = true;
	log_debug("display protocol features 0x%" G_GINT64_MODIFIER "x of 0x%" G_GINT64_MODIFIER
		  "x", channel->protocol_features, offered_features);
}

/* Each pick_* fills channel->out and returns true, or finds nothing to send. */

static bool pick_acceptance(struct vug_channel *channel)
{
	if (!channel->is_acceptance_due) {
		return false;
	}
	channel->is_acceptance_due = false;
	vug_out_add(&channel->out, VUG_SET_PROTOCOL_FEATURES, &channel->protocol_features,
		    sizeof(channel->protocol_features));
	return true;
}

static bool pick_question(struct vug_channel *channel, struct vug_questions *questions)
{
	bool has_edid = channel->protocol_features & 1u << VUG_PROTOCOL_F_EDID;

	return questions != NULL &&
	       vug_questions_pick(questions, channel->is_negotiated, has_edid, &channel->out);
}

static bool pick_cursor(struct vug_channel *channel, struct vug_wishes *wishes)
{
	struct vug_cursor_update state;
	enum vug_request request;

	if (!vug_wishes_take_cursor(wishes, &request, &state)) {
		return false;
	}
	if (request == VUG_CURSOR_UPDATE) {
		vug_out_add(&channel->out, request, &state, sizeof(state));
	} else {
		vug_out_add(&channel->out, request, &state.pos, sizeof(state.pos));
	}
	return true;
}

/* False: the front-end has no surface there as it is. */
static bool add_off(struct vug_channel *channel, uint32_t scanout_id)
{
	struct vug_scanout body = { .scanout_id = scanout_id };

	if (channel->surfaces[scanout_id].width == 0) {
		return false;
	}
	vug_out_add(&channel->out, VUG_SCANOUT, &body, sizeof(body));
	channel->surfaces[scanout_id].width = 0;
	channel->surfaces[scanout_id].height = 0;
	return true;
}

/* consume_wish->frame moves into the message. */
static void add_picture(struct vug_channel *channel, uint32_t scanout_id,
			const struct vug_picture_wish *consume_wish)
{
	const struct rect *view = &consume_wish->view;
	struct rect damage = consume_wish->damage;

	if (channel->surfaces[scanout_id].width != view->width ||
	    channel->surfaces[scanout_id].height != view->height) {
		struct vug_scanout body = { scanout_id, view->width, view->height };

		vug_out_add(&channel->out, VUG_SCANOUT, &body, sizeof(body));
		channel->surfaces[scanout_id].width = view->width;
		channel->surfaces[scanout_id].height = view->height;
		damage = (struct rect){ 0, 0, view->width, view->height };
	}
	struct vug_update body = { scanout_id, damage.x, damage.y, damage.width, damage.height };
	const struct rect pixels = { view->x + damage.x, view->y + damage.y, damage.width,
				     damage.height };
	vug_out_add_update(&channel->out, &body, consume_wish->frame, &pixels);
}

static bool pick_picture(struct vug_channel *channel, struct vug_wishes *wishes)
{
	struct vug_picture_wish wish;
	uint32_t scanout_id;

	while (vug_wishes_take_picture(wishes, &scanout_id, &wish)) {
		vug_out_settle(&channel->out, channel->socket);
		if (wish.frame != NULL) {
			add_picture(channel, scanout_id, &wish);
			return true;
		}
		if (add_off(channel, scanout_id)) {
			return true;
		}
	}
	return false;
}

int vug_channel_pump(struct vug_channel *channel, struct vug_wishes *wishes,
		     struct vug_questions *questions, uint64_t max_bytes)
{
	for (;;) {
		if (vug_out_is_empty(&channel->out) && !pick_acceptance(channel) &&
		    !pick_question(channel, questions) && !pick_cursor(channel, wishes) &&
		    !pick_picture(channel, wishes)) {
			return 0;
		}
		int error = vug_out_send(&channel->out, channel->socket, max_bytes);
		if (error < 0) {
			return error;
		}
	}
}
