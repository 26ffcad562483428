/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The display channel of vhost-user-gpu.
 *
 * The device thread leaves its wishes in a table (latest picture and the sum
 * of the damage per scanout, latest cursor, questions) and goes on; a thread of
 * our own turns the table into messages as fast as the front-end reads. A slow
 * front-end so sees fewer, whole frames, and never holds up the guest.
 *
 * What QEMU's end can't bear, and how it is kept from it:
 * - half a message stalls its main loop: one message goes out whole before the
 *   next is begun, and what it is made of can't change meanwhile;
 * - UPDATE without a surface crashes it, and a surface that never gets an
 *   UPDATE leaks: SCANOUT and the first, full UPDATE are one piece of output;
 * - GET_EDID for an output that it doesn't have is never answered: see
 *   vug_questions.h;
 * - a descriptor on a message that takes none is picked up later for another:
 *   none is ever sent here.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "display/display.h"
#include "display/vug_in.h"
#include "display/vug_out.h"
#include "display/vug_questions.h"
#include "display/vug_wire.h"
#include "util/log.h"
#include "util/loop.h"

/* What a scanout should show; under the lock. */
struct wish {
	struct frame *frame; /* owned reference; NULL: nothing new */
	struct rect view;
	struct rect damage; /* not yet sent */
	bool is_off;	    /* SCANOUT(0, 0) is due */
};

struct cursor_wish {
	bool is_image_due;
	bool is_move_due;
	bool is_hidden;
	struct vug_cursor_update state;
};

struct vhost_user_gpu {
	struct display base;
	GThread *thread;
	struct loop loop;

	GMutex lock; /* from here to the end of the group */
	bool is_quitting;
	bool is_wake_due; /* loop_wake() was called and not yet seen */
	bool has_new_socket;
	int new_socket; /* owned */
	struct wish wishes[DISPLAY_MAX_SCANOUTS];
	struct cursor_wish cursors[DISPLAY_MAX_SCANOUTS];

	int is_watched; /* atomic: a socket is there or on its way */
	struct vug_questions questions;

	/* The display thread's own. */
	int socket; /* owned, or -1 */
	struct loop_source source;
	bool wants_output;
	struct loop_timer answer_timer;
	bool is_negotiated;
	bool is_acceptance_due; /* SET_PROTOCOL_FEATURES */
	uint64_t protocol_features;
	struct {
		uint32_t width, height; /* of the surface that the front-end has */
	} surfaces[DISPLAY_MAX_SCANOUTS];
	unsigned int next_scanout;
	struct vug_out out;
	struct vug_in in;
};

static const struct display_impl vhost_user_gpu_impl;

static struct vhost_user_gpu *from_base(struct display *d)
{
	g_assert(d->impl == &vhost_user_gpu_impl);
	return (struct vhost_user_gpu *)(void *)d;
}

/* ---- device thread ---- */

/* With the lock held: have the display thread look at the table. */
static void poke(struct vhost_user_gpu *gpu)
{
	if (!gpu->is_wake_due) {
		gpu->is_wake_due = true;
		loop_wake(&gpu->loop);
	}
}

static bool gpu_is_watched(struct display *d)
{
	return g_atomic_int_get(&from_base(d)->is_watched) != 0;
}

static void gpu_update(struct display *d, uint32_t scanout_id,
		       const struct display_picture *picture, const struct rect *damage)
{
	struct vhost_user_gpu *gpu = from_base(d);
	struct wish *wish = &gpu->wishes[scanout_id];
	struct frame *old;

	g_mutex_lock(&gpu->lock);
	old = wish->frame;
	wish->frame = frame_ref(picture->frame);
	if (old != NULL && wish->view.width == picture->view.width &&
	    wish->view.height == picture->view.height) {
		wish->damage = rect_union(&wish->damage, damage);
	} else {
		wish->damage = *damage;
	}
	wish->view = picture->view;
	wish->is_off = false;
	poke(gpu);
	g_mutex_unlock(&gpu->lock);
	frame_unref(old);
}

static void gpu_disable(struct display *d, uint32_t scanout_id)
{
	struct vhost_user_gpu *gpu = from_base(d);
	struct wish *wish = &gpu->wishes[scanout_id];
	struct frame *old;

	g_mutex_lock(&gpu->lock);
	old = wish->frame;
	*wish = (struct wish){ .is_off = true };
	poke(gpu);
	g_mutex_unlock(&gpu->lock);
	frame_unref(old);
}

static void gpu_cursor_set(struct display *d, const struct display_cursor *cursor)
{
	struct vhost_user_gpu *gpu = from_base(d);
	struct cursor_wish *wish = &gpu->cursors[cursor->scanout_id];

	g_mutex_lock(&gpu->lock);
	wish->state.pos = (struct vug_cursor_pos){ cursor->scanout_id, cursor->x, cursor->y };
	wish->is_hidden = false;
	wish->is_move_due = true;
	if (cursor->pixels != NULL) {
		wish->state.hot_x = cursor->hot_x;
		wish->state.hot_y = cursor->hot_y;
		memcpy(wish->state.pixels, cursor->pixels, sizeof(wish->state.pixels));
		wish->is_image_due = true;
	}
	poke(gpu);
	g_mutex_unlock(&gpu->lock);
}

static void gpu_cursor_hide(struct display *d, uint32_t scanout_id, uint32_t x, uint32_t y)
{
	struct vhost_user_gpu *gpu = from_base(d);
	struct cursor_wish *wish = &gpu->cursors[scanout_id];

	g_mutex_lock(&gpu->lock);
	wish->state.pos = (struct vug_cursor_pos){ scanout_id, x, y };
	wish->is_hidden = true;
	wish->is_move_due = true;
	poke(gpu);
	g_mutex_unlock(&gpu->lock);
}

static bool ask(struct vhost_user_gpu *gpu, enum vug_question_kind kind, uint64_t token,
		uint32_t scanout_id)
{
	bool is_asked = false;

	/* Under the lock, so that a channel that is lost now takes the question with it. */
	g_mutex_lock(&gpu->lock);
	if (gpu_is_watched(&gpu->base)) {
		is_asked = vug_questions_ask(&gpu->questions, kind, token, scanout_id);
		poke(gpu);
	}
	g_mutex_unlock(&gpu->lock);
	return is_asked;
}

static bool gpu_request_info(struct display *d, uint64_t token)
{
	return ask(from_base(d), VUG_ASK_INFO, token, 0);
}

static bool gpu_request_edid(struct display *d, uint64_t token, uint32_t scanout_id)
{
	return ask(from_base(d), VUG_ASK_EDID, token, scanout_id);
}

/* ---- transport thread ---- */

static void gpu_set_socket(struct display *d, int consume_fd)
{
	struct vhost_user_gpu *gpu = from_base(d);

	g_mutex_lock(&gpu->lock);
	if (gpu->has_new_socket) {
		close(gpu->new_socket);
	}
	gpu->new_socket = consume_fd;
	gpu->has_new_socket = true;
	g_atomic_int_set(&gpu->is_watched, 1);
	poke(gpu);
	g_mutex_unlock(&gpu->lock);
}

/* ---- display thread: the channel ---- */

static void arm_answer_timer(struct vhost_user_gpu *gpu)
{
	gint64 delay_us = vug_questions_expire(&gpu->questions);

	if (delay_us >= 0) {
		loop_timer_arm(&gpu->loop, &gpu->answer_timer, delay_us);
	} else {
		loop_timer_disarm(&gpu->loop, &gpu->answer_timer);
	}
}

static void answer_timer_expired(void *data)
{
	arm_answer_timer(data);
}

static void close_channel(struct vhost_user_gpu *gpu)
{
	if (gpu->socket >= 0) {
		loop_remove(&gpu->loop, &gpu->source);
		close(gpu->socket);
		gpu->socket = -1;
	}
	vug_out_clear(&gpu->out);
	vug_in_clear(&gpu->in);
	memset(gpu->surfaces, 0, sizeof(gpu->surfaces));
	gpu->is_negotiated = false;
	gpu->is_acceptance_due = false;
	gpu->protocol_features = 0;
	gpu->wants_output = false;
}

/* With the lock held: what was to be shown on a channel that is no more. */
static void forget_wishes(struct vhost_user_gpu *gpu)
{
	for (size_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		frame_unref(gpu->wishes[i].frame);
		gpu->wishes[i] = (struct wish){ 0 };
		gpu->cursors[i].is_image_due = false;
		gpu->cursors[i].is_move_due = false;
	}
}

/* The front-end hung up or can't be understood any more. */
static void lose_channel(struct vhost_user_gpu *gpu)
{
	close_channel(gpu);
	g_mutex_lock(&gpu->lock);
	bool has_successor = gpu->has_new_socket;
	if (!has_successor) {
		g_atomic_int_set(&gpu->is_watched, 0);
	}
	forget_wishes(gpu);
	g_mutex_unlock(&gpu->lock);
	vug_questions_drop(&gpu->questions, has_successor);
	arm_answer_timer(gpu);
}

/* Each pick_* fills gpu->out and returns true, or finds nothing to send. */

static bool pick_acceptance(struct vhost_user_gpu *gpu)
{
	if (!gpu->is_acceptance_due) {
		return false;
	}
	gpu->is_acceptance_due = false;
	vug_out_add(&gpu->out, VUG_SET_PROTOCOL_FEATURES, &gpu->protocol_features,
		    sizeof(gpu->protocol_features));
	return true;
}

static bool pick_question(struct vhost_user_gpu *gpu)
{
	bool has_edid = gpu->protocol_features & 1u << VUG_PROTOCOL_F_EDID;

	if (!vug_questions_pick(&gpu->questions, gpu->is_negotiated, has_edid, &gpu->out)) {
		return false;
	}
	arm_answer_timer(gpu);
	return true;
}

static bool pick_cursor(struct vhost_user_gpu *gpu)
{
	bool is_found = false;

	g_mutex_lock(&gpu->lock);
	for (size_t i = 0; i < DISPLAY_MAX_SCANOUTS && !is_found; i++) {
		struct cursor_wish *wish = &gpu->cursors[i];

		is_found = true;
		if (wish->is_image_due) {
			vug_out_add(&gpu->out, VUG_CURSOR_UPDATE, &wish->state,
				    sizeof(wish->state));
		} else if (wish->is_move_due) {
			vug_out_add(&gpu->out,
				    wish->is_hidden ? VUG_CURSOR_POS_HIDE : VUG_CURSOR_POS,
				    &wish->state.pos, sizeof(wish->state.pos));
		} else {
			is_found = false;
			continue;
		}
		/* An image shows the cursor; a hidden one is hidden by the next message. */
		wish->is_move_due = wish->is_image_due && wish->is_hidden;
		wish->is_image_due = false;
	}
	g_mutex_unlock(&gpu->lock);
	return is_found;
}

static bool pick_off(struct vhost_user_gpu *gpu, uint32_t scanout_id)
{
	struct vug_scanout body = { .scanout_id = scanout_id };

	if (gpu->surfaces[scanout_id].width == 0) {
		return false;
	}
	vug_out_add(&gpu->out, VUG_SCANOUT, &body, sizeof(body));
	gpu->surfaces[scanout_id].width = 0;
	gpu->surfaces[scanout_id].height = 0;
	return true;
}

/* consume_wish->frame moves into the message. */
static void pick_picture(struct vhost_user_gpu *gpu, uint32_t scanout_id,
			 const struct wish *consume_wish)
{
	const struct rect *view = &consume_wish->view;
	struct rect damage = consume_wish->damage;

	if (gpu->surfaces[scanout_id].width != view->width ||
	    gpu->surfaces[scanout_id].height != view->height) {
		struct vug_scanout body = { scanout_id, view->width, view->height };

		vug_out_add(&gpu->out, VUG_SCANOUT, &body, sizeof(body));
		gpu->surfaces[scanout_id].width = view->width;
		gpu->surfaces[scanout_id].height = view->height;
		damage = (struct rect){ 0, 0, view->width, view->height };
	}
	struct vug_update body = { scanout_id, damage.x, damage.y, damage.width, damage.height };
	const struct rect pixels = { view->x + damage.x, view->y + damage.y, damage.width,
				     damage.height };
	vug_out_add_update(&gpu->out, &body, consume_wish->frame, &pixels);
}

static bool pick_scanout(struct vhost_user_gpu *gpu)
{
	for (unsigned int i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		uint32_t id = (gpu->next_scanout + i) % DISPLAY_MAX_SCANOUTS;

		g_mutex_lock(&gpu->lock);
		struct wish wish = gpu->wishes[id];
		gpu->wishes[id].frame = NULL;
		gpu->wishes[id].is_off = false;
		g_mutex_unlock(&gpu->lock);

		if (wish.frame != NULL) {
			pick_picture(gpu, id, &wish);
			gpu->next_scanout = id + 1;
			return true;
		}
		if (wish.is_off && pick_off(gpu, id)) {
			return true;
		}
	}
	return false;
}

static bool pick_message(struct vhost_user_gpu *gpu)
{
	return pick_acceptance(gpu) || pick_question(gpu) || pick_cursor(gpu) || pick_scanout(gpu);
}

static void want_output(struct vhost_user_gpu *gpu, bool is_wanted)
{
	if (gpu->wants_output == is_wanted) {
		return;
	}
	gpu->wants_output = is_wanted;
	int error = loop_modify(&gpu->loop, &gpu->source, EPOLLIN | (is_wanted ? EPOLLOUT : 0u));
	if (error < 0) {
		log_error("epoll on the display socket: %s", g_strerror(-error));
		lose_channel(gpu);
	}
}

/* Send until there is nothing to say or the socket is full. */
static void pump(struct vhost_user_gpu *gpu)
{
	while (gpu->socket >= 0) {
		if (vug_out_is_empty(&gpu->out) && !pick_message(gpu)) {
			want_output(gpu, false);
			return;
		}
		int error = vug_out_send(&gpu->out, gpu->socket);
		if (error == -EAGAIN) {
			want_output(gpu, true);
			return;
		}
		if (error < 0) {
			log_info("the display channel is closed: %s", g_strerror(-error));
			lose_channel(gpu);
			return;
		}
	}
}

/* ---- display thread: replies ---- */

static void handle_reply(struct vhost_user_gpu *gpu)
{
	const struct vug_header *header = &gpu->in.header;
	bool is_negotiation = false;

	if (!vug_questions_take_reply(&gpu->questions, header, &gpu->in.reply, &is_negotiation)) {
		log_warn("the front-end's display sends message %u, which nobody asked for",
			 header->request);
		return;
	}
	if (is_negotiation) {
		uint64_t offered =
			header->size == sizeof(uint64_t) ? gpu->in.reply.protocol_features : 0;

		gpu->protocol_features = offered & 1u << VUG_PROTOCOL_F_EDID;
		gpu->is_negotiated = true;
		gpu->is_acceptance_due = true;
		log_debug("display protocol features 0x%" G_GINT64_MODIFIER "x of 0x%"
			  G_GINT64_MODIFIER "x", gpu->protocol_features, offered);
	}
	arm_answer_timer(gpu);
}

/* Receive what has come. Returns false if the channel was lost. */
static bool receive_replies(struct vhost_user_gpu *gpu)
{
	for (;;) {
		switch (vug_in_receive(&gpu->in, gpu->socket)) {
		case VUG_IN_OK:
			handle_reply(gpu);
			break;
		case VUG_IN_E_AGAIN:
			return true;
		case VUG_IN_E_GARBAGE:
			log_warn("the front-end's display sends what is no reply; the channel is "
				 "closed");
			lose_channel(gpu);
			return false;
		case VUG_IN_E_CLOSED:
		default:
			log_info("the display channel is closed by the front-end");
			lose_channel(gpu);
			return false;
		}
	}
}

static void dispatch_socket(void *data, uint32_t events)
{
	struct vhost_user_gpu *gpu = data;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive_replies(gpu)) {
		return;
	}
	pump(gpu);
}

static void open_channel(struct vhost_user_gpu *gpu, int consume_fd)
{
	close_channel(gpu);
	vug_questions_drop(&gpu->questions, true);
	g_mutex_lock(&gpu->lock);
	forget_wishes(gpu); /* ready() has the device state them all again */
	g_mutex_unlock(&gpu->lock);
	gpu->socket = consume_fd;
	int error = loop_add(&gpu->loop, &gpu->source, consume_fd, EPOLLIN);
	if (error < 0) {
		log_error("epoll on the display socket: %s", g_strerror(-error));
		lose_channel(gpu);
		return;
	}
	vug_questions_negotiate(&gpu->questions, &gpu->out);
	gpu->base.listener->ready(gpu->base.listener_data);
}

static void woken(void *data)
{
	struct vhost_user_gpu *gpu = data;
	int new_socket = -1;

	g_mutex_lock(&gpu->lock);
	gpu->is_wake_due = false;
	bool is_quitting = gpu->is_quitting;
	if (gpu->has_new_socket) {
		new_socket = gpu->new_socket;
		gpu->has_new_socket = false;
	}
	g_mutex_unlock(&gpu->lock);

	if (is_quitting) {
		loop_quit(&gpu->loop);
		return;
	}
	if (new_socket >= 0) {
		open_channel(gpu, new_socket);
	}
	arm_answer_timer(gpu);
	pump(gpu);
}

static void *thread_main(void *data)
{
	struct vhost_user_gpu *gpu = data;
	int error = loop_run(&gpu->loop);

	if (error < 0) {
		log_error("the display thread ends: %s", g_strerror(-error));
	}
	return NULL;
}

/* ---- life ---- */

int display_create_vhost_user_gpu(const struct display_listener *listener, void *data,
				  struct display **display_out)
{
	struct vhost_user_gpu *gpu = g_new0(struct vhost_user_gpu, 1);
	GError *thread_error = NULL;

	display_init(&gpu->base, &vhost_user_gpu_impl, listener, data);
	gpu->socket = -1;
	gpu->new_socket = -1;
	gpu->source = (struct loop_source){ .dispatch = dispatch_socket, .data = gpu };
	gpu->answer_timer =
		(struct loop_timer){ .expired = answer_timer_expired, .data = gpu };
	g_mutex_init(&gpu->lock);
	vug_questions_init(&gpu->questions, &gpu->base);

	int error = loop_init(&gpu->loop, woken, gpu);
	if (error < 0) {
		vug_questions_finish(&gpu->questions);
		g_mutex_clear(&gpu->lock);
		g_free(gpu);
		return error;
	}
	gpu->thread = g_thread_try_new("display", thread_main, gpu, &thread_error);
	if (gpu->thread == NULL) {
		log_error("starting the display thread: %s", thread_error->message);
		g_error_free(thread_error);
		loop_finish(&gpu->loop);
		vug_questions_finish(&gpu->questions);
		g_mutex_clear(&gpu->lock);
		g_free(gpu);
		return -EAGAIN;
	}
	*display_out = &gpu->base;
	return 0;
}

static void gpu_destroy(struct display *d)
{
	struct vhost_user_gpu *gpu = from_base(d);

	g_mutex_lock(&gpu->lock);
	gpu->is_quitting = true;
	poke(gpu);
	g_mutex_unlock(&gpu->lock);
	g_thread_join(gpu->thread);

	close_channel(gpu);
	if (gpu->has_new_socket) {
		close(gpu->new_socket);
	}
	for (size_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		frame_unref(gpu->wishes[i].frame);
	}
	vug_questions_finish(&gpu->questions);
	loop_finish(&gpu->loop);
	g_mutex_clear(&gpu->lock);
	g_free(gpu);
}

static const struct display_impl vhost_user_gpu_impl = {
	.name = "vhost-user-gpu",
	.destroy = gpu_destroy,
	.is_watched = gpu_is_watched,
	.update = gpu_update,
	.disable = gpu_disable,
	.cursor_set = gpu_cursor_set,
	.cursor_hide = gpu_cursor_hide,
	.request_info = gpu_request_info,
	.request_edid = gpu_request_edid,
	.set_socket = gpu_set_socket,
};
