/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The display channel of vhost-user-gpu.
 *
 * The device thread leaves its wishes in a table and goes on. If nobody is
 * sending, it sends them itself, as far as the socket takes them; what is left
 * a thread of our own sends when the front-end has read on. So an idle channel
 * costs no switch of threads, and a slow front-end never holds up the guest.
 *
 * What QEMU's end can't bear, and how it is kept from it:
 * - half a message stalls its main loop: one message goes out whole before the
 *   next is begun, and what it is made of can't change meanwhile;
 * - UPDATE without a surface crashes it, and a surface that never gets an
 *   UPDATE leaks: SCANOUT and the first, full UPDATE are one piece of output;
 * - GET_EDID for an output that it doesn't have is never answered: see
 *   vug_questions.h;
 * - a descriptor on a message that takes none is picked up later for another:
 *   it goes with the first byte of its own (vug_out.c);
 * - two updates of buffers at a time may get one answer: see vug_wishes.h.
 *
 * Whether QEMU can show a buffer depends on its display, of which it says
 * nothing: one that can't is silent, and so is the screen. So buffers are
 * used if our user says so. A display that can, and does not answer, is seen
 * by its silence: then it gets frames.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "display/display.h"
#include "display/vug_channel.h"
#include "display/vug_in.h"
#include "display/vug_questions.h"
#include "display/vug_wire.h"
#include "display/vug_wishes.h"
#include "util/log.h"
#include "util/loop.h"

struct vhost_user_gpu {
	struct display base;
	GThread *thread;
	struct loop loop;
	struct vug_wishes wishes;
	struct vug_questions questions;
	int is_watched; /* atomic: a socket is there or on its way */

	GMutex lock; /* from here to the end of the group */
	bool is_quitting;
	bool is_wake_due; /* loop_wake() was called and not yet seen */
	bool has_new_socket;
	int new_socket; /* owned */

	/*
	 * Who holds this lock sends. Held for no longer than the socket takes
	 * bytes, and by the device thread only if it is free. While it is free,
	 * what was begun and not sent is waited for with EPOLLOUT.
	 */
	GMutex channel_lock;
	struct vug_channel channel;
	bool wants_output;
	bool is_flight_timed; /* flight_timer will look at what is in flight */
	int dmabufs;	      /* atomic: enum dmabuf_kinds, the channel's */

	/* The display thread's own. */
	struct loop_source source;
	struct loop_timer answer_timer, flight_timer;
	struct vug_in in;
};

/*
 * What the device thread sends of a picture: it fills the socket, but does not
 * feed a front-end that reads as fast as it is sent to.
 */
#define DEVICE_MAX_BYTES (2u << 20)

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

/* With the channel's lock held: hear when the socket takes more. Returns 0 or -errno. */
static int want_output(struct vhost_user_gpu *gpu, bool is_wanted)
{
	if (gpu->wants_output == is_wanted) {
		return 0;
	}
	int error =
		loop_modify(&gpu->loop, &gpu->source, EPOLLIN | (is_wanted ? EPOLLOUT : 0u));
	if (error == 0) {
		gpu->wants_output = is_wanted;
	}
	return error;
}

/* With the channel's lock held, after a change. */
static void publish_dmabufs(struct vhost_user_gpu *gpu)
{
	g_atomic_int_set(&gpu->dmabufs, (int)gpu->channel.dmabufs);
}

/* Send now if nobody else does. False: the display thread is to look at it. */
static bool send_wishes(struct vhost_user_gpu *gpu)
{
	bool is_done = false;

	if (!g_mutex_trylock(&gpu->channel_lock)) {
		return false;
	}
	if (gpu->channel.socket < 0) {
		vug_wishes_forget(&gpu->wishes); /* ready() has the device state them again */
		is_done = true;
	} else if (!vug_out_is_empty(&gpu->channel.out)) {
		is_done = true; /* goes on when the socket takes more */
	} else {
		int error = vug_channel_pump(&gpu->channel, &gpu->wishes, NULL, DEVICE_MAX_BYTES);
		is_done = error == 0 || (error == -EAGAIN && want_output(gpu, true) == 0);
		is_done &= !gpu->channel.wants_dmabufs || gpu->is_flight_timed ||
			   !vug_wishes_are_flying(&gpu->wishes);
	}
	g_mutex_unlock(&gpu->channel_lock);
	return is_done;
}

static void send_or_poke(struct vhost_user_gpu *gpu)
{
	if (!send_wishes(gpu)) {
		g_mutex_lock(&gpu->lock);
		poke(gpu);
		g_mutex_unlock(&gpu->lock);
	}
}

static bool gpu_update(struct display *d, uint32_t scanout_id,
		       const struct display_picture *picture, const struct rect *damage)
{
	struct vhost_user_gpu *gpu = from_base(d);

	vug_wishes_add_picture(&gpu->wishes, scanout_id, picture, damage);
	send_or_poke(gpu);
	return vug_wishes_await(&gpu->wishes, scanout_id);
}

static enum dmabuf_kinds gpu_dmabufs(struct display *d)
{
	return (enum dmabuf_kinds)g_atomic_int_get(&from_base(d)->dmabufs);
}

static bool gpu_update_dmabuf(struct display *d, uint32_t scanout_id, struct dmabuf *dmabuf,
			      uint32_t serial, const struct rect *damage)
{
	struct vhost_user_gpu *gpu = from_base(d);

	vug_wishes_add_dmabuf(&gpu->wishes, scanout_id, dmabuf, serial, damage);
	send_or_poke(gpu);
	return vug_wishes_await(&gpu->wishes, scanout_id);
}

static void gpu_reclaim(struct display *d)
{
	struct vhost_user_gpu *gpu = from_base(d);

	/* Who sends now settles as well. */
	if (g_atomic_int_get(&gpu->channel.out.loans.n) == 0 ||
	    !g_mutex_trylock(&gpu->channel_lock)) {
		return;
	}
	vug_out_settle(&gpu->channel.out, gpu->channel.socket);
	g_mutex_unlock(&gpu->channel_lock);
}

static void gpu_disable(struct display *d, uint32_t scanout_id)
{
	struct vhost_user_gpu *gpu = from_base(d);

	vug_wishes_add_off(&gpu->wishes, scanout_id);
	send_or_poke(gpu);
}

static void gpu_cursor_set(struct display *d, const struct display_cursor *cursor)
{
	struct vhost_user_gpu *gpu = from_base(d);

	vug_wishes_add_cursor(&gpu->wishes, cursor);
	send_or_poke(gpu);
}

static void gpu_cursor_hide(struct display *d, uint32_t scanout_id, uint32_t x, uint32_t y)
{
	struct vhost_user_gpu *gpu = from_base(d);

	vug_wishes_add_cursor_hide(&gpu->wishes, scanout_id, x, y);
	send_or_poke(gpu);
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
	g_mutex_lock(&gpu->channel_lock);
	loop_remove(&gpu->loop, &gpu->source);
	vug_channel_close(&gpu->channel);
	publish_dmabufs(gpu);
	gpu->wants_output = false;
	g_mutex_unlock(&gpu->channel_lock);
	vug_in_clear(&gpu->in);
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
	g_mutex_unlock(&gpu->lock);
	vug_wishes_forget(&gpu->wishes);
	vug_questions_drop(&gpu->questions, has_successor);
	arm_answer_timer(gpu);
}

/* Look again when what is in flight is due, if anything is. */
static void time_flight(struct vhost_user_gpu *gpu)
{
	if (!gpu->channel.wants_dmabufs) {
		return;
	}
	g_mutex_lock(&gpu->channel_lock);
	gint64 delay_us =
		gpu->is_flight_timed ? -1 : vug_channel_expire(&gpu->channel, &gpu->wishes);
	gpu->is_flight_timed |= delay_us > 0;
	publish_dmabufs(gpu);
	g_mutex_unlock(&gpu->channel_lock);

	if (delay_us > 0) {
		loop_timer_arm(&gpu->loop, &gpu->flight_timer, delay_us);
	} else if (delay_us == 0) {
		log_warn("the front-end's display has not drawn a buffer for too long; it gets "
			 "pictures instead");
		gpu->base.listener->ready(gpu->base.listener_data);
	}
}

/* One timer serves all flights of its time. */
static void flight_timer_expired(void *data)
{
	struct vhost_user_gpu *gpu = data;

	g_mutex_lock(&gpu->channel_lock);
	gpu->is_flight_timed = false;
	g_mutex_unlock(&gpu->channel_lock);
	time_flight(gpu);
}

/* Send until there is nothing to say or the socket is full. */
static void pump(struct vhost_user_gpu *gpu)
{
	int error = 0, poll_error = 0;

	g_mutex_lock(&gpu->channel_lock);
	if (gpu->channel.socket < 0) {
		vug_wishes_forget(&gpu->wishes);
	} else {
		error = vug_channel_pump(&gpu->channel, &gpu->wishes, &gpu->questions, UINT64_MAX);
		if (error == 0 || error == -EAGAIN) {
			poll_error = want_output(gpu, error == -EAGAIN);
		}
	}
	g_mutex_unlock(&gpu->channel_lock);

	if (poll_error < 0) {
		log_error("epoll on the display socket: %s", g_strerror(-poll_error));
		lose_channel(gpu);
	} else if (error < 0 && error != -EAGAIN) {
		log_info("the display channel is closed: %s", g_strerror(-error));
		lose_channel(gpu);
	} else {
		arm_answer_timer(gpu);
		time_flight(gpu);
	}
}

/* ---- display thread: replies ---- */

/* False: none was in flight. */
static bool handle_landing(struct vhost_user_gpu *gpu)
{
	bool has_changed = false;

	g_mutex_lock(&gpu->channel_lock);
	bool has_landed = vug_channel_land(&gpu->channel, &gpu->wishes, &has_changed);
	publish_dmabufs(gpu);
	g_mutex_unlock(&gpu->channel_lock);
	if (has_changed) {
		log_info("the front-end's display draws buffers again");
		gpu->base.listener->ready(gpu->base.listener_data);
	}
	return has_landed;
}

static void negotiate(struct vhost_user_gpu *gpu, uint64_t offered)
{
	g_mutex_lock(&gpu->channel_lock);
	vug_channel_negotiate(&gpu->channel, offered);
	publish_dmabufs(gpu);
	bool takes_dmabufs = gpu->channel.dmabufs != DMABUFS_NONE;
	g_mutex_unlock(&gpu->channel_lock);
	if (takes_dmabufs) {
		gpu->base.listener->ready(gpu->base.listener_data);
	}
}

/* Which outputs there are, before the device hears of it. */
static void note_outputs(struct vhost_user_gpu *gpu)
{
	const struct virtio_gpu_resp_display_info *info = &gpu->in.reply.info;
	uint32_t outputs = 0;

	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		outputs |= (uint32_t)(info->pmodes[i].enabled != 0) << i;
	}
	g_mutex_lock(&gpu->channel_lock);
	gpu->channel.outputs = outputs;
	g_mutex_unlock(&gpu->channel_lock);
}

static void handle_reply(struct vhost_user_gpu *gpu)
{
	const struct vug_header *header = &gpu->in.header;
	bool is_negotiation = false;

	if (header->request == VUG_GET_DISPLAY_INFO && header->size == sizeof(gpu->in.reply.info)) {
		note_outputs(gpu);
	}

	if (header->request == VUG_DMABUF_UPDATE && handle_landing(gpu)) {
		return;
	}
	if (!vug_questions_take_reply(&gpu->questions, header, &gpu->in.reply, &is_negotiation)) {
		log_warn("the front-end's display sends message %u, which nobody asked for",
			 header->request);
		return;
	}
	if (is_negotiation) {
		negotiate(gpu,
			  header->size == sizeof(uint64_t) ? gpu->in.reply.protocol_features : 0);
	}
	arm_answer_timer(gpu);
}

/* Receive what has come. Returns false if the channel was lost. */
static bool receive_replies(struct vhost_user_gpu *gpu)
{
	for (;;) {
		switch (vug_in_receive(&gpu->in, gpu->channel.socket)) {
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
	g_mutex_lock(&gpu->channel_lock);
	vug_wishes_forget(&gpu->wishes); /* ready() has the device state them all again */
	vug_channel_open(&gpu->channel, consume_fd);
	int error = loop_add(&gpu->loop, &gpu->source, consume_fd, EPOLLIN);
	if (error == 0) {
		vug_questions_negotiate(&gpu->questions, &gpu->channel.out);
	}
	g_mutex_unlock(&gpu->channel_lock);
	if (error < 0) {
		log_error("epoll on the display socket: %s", g_strerror(-error));
		lose_channel(gpu);
		return;
	}
	gpu->base.listener->ready(gpu->base.listener_data);
}

static void woken(void *data)
{
	struct vhost_user_gpu *gpu = data;
	int new_socket = -1;

	g_mutex_lock(&gpu->lock);
	gpu->is_wake_due = false;
	bool is_quitting = gpu->is_quitting;
	if (gpu->has_new_socket && !is_quitting) { /* else it is closed with the rest */
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

/* Everything but the loop and the thread. */
static struct vhost_user_gpu *gpu_new(const struct display_listener *listener, void *data,
				      bool with_dmabufs)
{
	struct vhost_user_gpu *gpu = g_new0(struct vhost_user_gpu, 1);

	display_init(&gpu->base, &vhost_user_gpu_impl, listener, data);
	gpu->new_socket = -1;
	gpu->source = (struct loop_source){ .dispatch = dispatch_socket, .data = gpu };
	gpu->answer_timer =
		(struct loop_timer){ .expired = answer_timer_expired, .data = gpu };
	gpu->flight_timer = (struct loop_timer){ .expired = flight_timer_expired, .data = gpu };
	g_mutex_init(&gpu->lock);
	g_mutex_init(&gpu->channel_lock);
	vug_channel_init(&gpu->channel, with_dmabufs);
	vug_wishes_init(&gpu->wishes, &gpu->base);
	vug_questions_init(&gpu->questions, &gpu->base);
	return gpu;
}

static void gpu_free(struct vhost_user_gpu *gpu)
{
	vug_questions_finish(&gpu->questions);
	vug_wishes_finish(&gpu->wishes);
	g_mutex_clear(&gpu->channel_lock);
	g_mutex_clear(&gpu->lock);
	g_free(gpu);
}

int display_create_vhost_user_gpu(const struct display_listener *listener, void *data,
				  bool with_dmabufs, struct display **display_out)
{
	struct vhost_user_gpu *gpu = gpu_new(listener, data, with_dmabufs);
	GError *thread_error = NULL;
	int error = loop_init(&gpu->loop, woken, gpu);

	if (error < 0) {
		gpu_free(gpu);
		return error;
	}
	gpu->thread = g_thread_try_new("display", thread_main, gpu, &thread_error);
	if (gpu->thread == NULL) {
		log_error("starting the display thread: %s", thread_error->message);
		g_error_free(thread_error);
		loop_finish(&gpu->loop);
		gpu_free(gpu);
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
	loop_finish(&gpu->loop);
	gpu_free(gpu);
}

static const struct display_impl vhost_user_gpu_impl = {
	.name = "vhost-user-gpu",
	.destroy = gpu_destroy,
	.is_watched = gpu_is_watched,
	.update = gpu_update,
	.dmabufs = gpu_dmabufs,
	.update_dmabuf = gpu_update_dmabuf,
	.reclaim = gpu_reclaim,
	.disable = gpu_disable,
	.cursor_set = gpu_cursor_set,
	.cursor_hide = gpu_cursor_hide,
	.request_info = gpu_request_info,
	.request_edid = gpu_request_edid,
	.set_socket = gpu_set_socket,
};
