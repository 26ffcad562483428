/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Frames and buffers. QEMU has both a surface, which UPDATE draws on, and a
 * buffer, and shows what came last. A buffer makes a surface of no account: of
 * a frame after it there is first word that the buffer is shown no more, then
 * a surface anew, and all of the picture. Off, too, takes both.
 *
 * QEMU shows a buffer's top left corner, whatever is said of x and y, and
 * before version 8 all of it; so a buffer is what is to be seen, neither more
 * nor less (gpu/scanout_dmabuf.c makes such).
 */
#include "display/vug_channel.h"

#include <errno.h>
#include <unistd.h>

#include "util/log.h"
#include "util/sock.h"

/*
 * What may be under way and unread. Enough that the front-end seldom waits for
 * us while it reads a large picture, and little enough that what is on its way
 * is not old when it gets there.
 */
#define SEND_BUFFER_BYTES (1 << 20)

/* A display that draws 60 pictures a second is not slow if it takes a hundred times as long. */
#define FLIGHT_LIMIT_US (2 * G_USEC_PER_SEC)
/* A window that is hidden may leave a buffer unanswered until it is seen again: that is no loss. */
#define MAX_UNANSWERED 3

/* QEMU keeps a buffer beyond its channel, and through a reset: it shows it until it is told otherwise. */
#define DMABUF_OF_BEFORE UINT64_MAX

void vug_channel_init(struct vug_channel *channel, bool wants_dmabufs)
{
	*channel = (struct vug_channel){
		.wants_dmabufs = wants_dmabufs,
		.socket = -1,
		.outputs = 1, /* each has the first one */
	};
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
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		channel->surfaces[i].width = 0;
		channel->surfaces[i].height = 0;
		/* It may not have heard that it was off. */
		channel->surfaces[i].dmabuf_id =
			channel->surfaces[i].had_dmabuf ? DMABUF_OF_BEFORE : 0;
	}
	channel->is_negotiated = false;
	channel->is_acceptance_due = false;
	channel->protocol_features = 0;
	channel->dmabufs = DMABUFS_NONE;
	channel->n_unanswered = 0;
	channel->is_answer_late = false;
}

static enum dmabuf_kinds negotiated_dmabufs(const struct vug_channel *channel)
{
	if (!channel->wants_dmabufs) {
		return DMABUFS_NONE;
	}
	return channel->protocol_features & 1u << VUG_PROTOCOL_F_DMABUF2 ? DMABUFS_ALL
									 : DMABUFS_LINEAR;
}

void vug_channel_negotiate(struct vug_channel *channel, uint64_t offered_features)
{
	uint64_t wanted = 1u << VUG_PROTOCOL_F_EDID;

	if (channel->wants_dmabufs) {
		wanted |= 1u << VUG_PROTOCOL_F_DMABUF2;
	}
	channel->protocol_features = offered_features & wanted;
	channel->is_negotiated = true;
	channel->is_acceptance_due = true;
	channel->dmabufs = negotiated_dmabufs(channel);
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

/* False: the front-end has no buffer there as it is. */
static bool add_dmabuf_off(struct vug_channel *channel, uint32_t scanout_id)
{
	struct vug_dmabuf_scanout body = { .scanout_id = scanout_id };

	if (channel->surfaces[scanout_id].dmabuf_id == 0) {
		return false;
	}
	vug_out_add(&channel->out, VUG_DMABUF_SCANOUT, &body, sizeof(body));
	channel->surfaces[scanout_id].dmabuf_id = 0;
	return true;
}

/* False: the front-end has nothing to show there as it is. */
static bool add_off(struct vug_channel *channel, uint32_t scanout_id)
{
	struct vug_scanout body = { .scanout_id = scanout_id };
	bool had_dmabuf = add_dmabuf_off(channel, scanout_id);

	if (!had_dmabuf && channel->surfaces[scanout_id].width == 0) {
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

	add_dmabuf_off(channel, scanout_id);
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

static void add_dmabuf_scanout(struct vug_channel *channel, uint32_t scanout_id,
			       struct dmabuf *dmabuf)
{
	const struct dmabuf_layout *layout = &dmabuf->layout;
	const struct vug_dmabuf_scanout2 body = {
		.scanout = {
			.scanout_id = scanout_id,
			.width = layout->width,
			.height = layout->height,
			.fd_width = layout->width,
			.fd_height = layout->height,
			.fd_stride = layout->stride_bytes,
			.fd_flags = layout->is_y_0_top ? VUG_DMABUF_Y_0_TOP : 0,
			.fd_drm_fourcc = layout->fourcc,
		},
		.modifier = layout->modifier,
	};

	if (channel->dmabufs == DMABUFS_ALL) {
		vug_out_add_dmabuf(&channel->out, VUG_DMABUF_SCANOUT2, &body, sizeof(body), dmabuf);
	} else {
		vug_out_add_dmabuf(&channel->out, VUG_DMABUF_SCANOUT, &body.scanout,
				   sizeof(body.scanout), dmabuf);
	}
	channel->surfaces[scanout_id].dmabuf_id = dmabuf->id;
	channel->surfaces[scanout_id].had_dmabuf = true;
	channel->surfaces[scanout_id].width = 0;
	channel->surfaces[scanout_id].height = 0;
}

/* consume_wish->dmabuf is let go: the message holds it as long as it is needed. */
static void add_dmabuf(struct vug_channel *channel, uint32_t scanout_id,
		       const struct vug_picture_wish *consume_wish)
{
	struct dmabuf *dmabuf = consume_wish->dmabuf;
	struct rect damage = consume_wish->damage;

	if (channel->surfaces[scanout_id].dmabuf_id != dmabuf->id) {
		add_dmabuf_scanout(channel, scanout_id, dmabuf);
		damage = consume_wish->view;
	}
	struct vug_update body = { scanout_id, damage.x, damage.y, damage.width, damage.height };
	vug_out_add(&channel->out, VUG_DMABUF_UPDATE, &body, sizeof(body));
	channel->flight_since_us = g_get_monotonic_time();
	dmabuf_unref(dmabuf);
}

/* For outputs that it does not have QEMU has a line in its log, each time. */
static bool is_wanted(const struct vug_channel *channel, uint32_t scanout_id,
		      const struct dmabuf *dmabuf)
{
	return (channel->outputs & 1u << scanout_id) != 0 &&
	       dmabuf_is_among(&dmabuf->layout, channel->dmabufs);
}

/* It was wished for when the front-end took them; now the device has been told better. */
static void forgo_dmabuf(struct vug_wishes *wishes, const struct vug_picture_wish *consume_wish)
{
	vug_wishes_land(wishes);
	dmabuf_unref(consume_wish->dmabuf);
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
		if (wish.dmabuf != NULL && is_wanted(channel, scanout_id, wish.dmabuf)) {
			add_dmabuf(channel, scanout_id, &wish);
			return true;
		}
		if (wish.dmabuf != NULL) {
			forgo_dmabuf(wishes, &wish);
		} else if (add_off(channel, scanout_id)) {
			return true;
		}
	}
	return false;
}

bool vug_channel_land(struct vug_channel *channel, struct vug_wishes *wishes, bool *has_changed_out)
{
	if (!vug_wishes_land(wishes)) {
		return false;
	}
	*has_changed_out = channel->is_answer_late && channel->n_unanswered < MAX_UNANSWERED;
	if (!channel->is_answer_late) {
		channel->n_unanswered = 0;
	}
	channel->is_answer_late = false;
	if (*has_changed_out) {
		channel->dmabufs = negotiated_dmabufs(channel);
	}
	return true;
}

gint64 vug_channel_expire(struct vug_channel *channel, struct vug_wishes *wishes)
{
	gint64 left_us = channel->flight_since_us + FLIGHT_LIMIT_US - g_get_monotonic_time();

	if (channel->is_answer_late || !vug_wishes_are_flying(wishes)) {
		return -1;
	}
	if (left_us > 0) {
		return left_us;
	}
	channel->is_answer_late = true;
	channel->n_unanswered++;
	channel->dmabufs = DMABUFS_NONE;
	vug_wishes_forget_dmabufs(wishes);
	return 0;
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
