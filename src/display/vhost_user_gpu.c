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
 * - GET_EDID for an output that it doesn't have is never answered: each one is
 *   followed by GET_DISPLAY_INFO, whose answer shows that none will come;
 * - a descriptor on a message that takes none is picked up later for another:
 *   none is ever sent here.
 *
 * Questions are answered once, by the front-end, by its hang-up, or by the
 * clock.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "display/display.h"
#include "display/vug_wire.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/sock.h"

#define ANSWER_TIMEOUT_US (1 * G_USEC_PER_SEC)
#define MAX_QUESTIONS 256
#define MAX_IOV 512

enum question_kind {
	ASK_PROTOCOL_FEATURES,
	ASK_INFO,
	ASK_EDID,
	ASK_BARRIER, /* GET_DISPLAY_INFO behind a GET_EDID */
};

struct question {
	enum question_kind kind;
	uint32_t scanout_id;
	uint64_t token;
	gint64 deadline_us;
	bool is_answered; /* the asker was told something; the reply may still come */
};

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

/* The message in the socket's mouth. */
struct outgoing {
	size_t head_bytes;
	struct frame *frame; /* owned reference; NULL: the head is all */
	struct rect pixels;  /* in the frame */
	uint64_t total_bytes, sent_bytes;
	char head[sizeof(struct vug_header) + sizeof(struct vug_cursor_update)];
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
	GQueue asked; /* struct question, owned; not yet sent */

	int is_watched;  /* atomic: a socket is there or on its way */
	int n_questions; /* atomic: asked, and not yet answered by the front-end itself */

	/* The display thread's own. */
	int socket; /* owned, or -1 */
	struct loop_source source;
	bool wants_output;
	struct loop_timer answer_timer;
	GQueue awaited; /* struct question, owned; sent, in order */
	bool is_negotiated;
	bool is_acceptance_due; /* SET_PROTOCOL_FEATURES */
	uint64_t protocol_features;
	struct {
		uint32_t width, height; /* of the surface that the front-end has */
	} surfaces[DISPLAY_MAX_SCANOUTS];
	unsigned int next_scanout;
	struct outgoing out;
	struct vug_header reply_header;
	union vug_reply reply;
	size_t reply_bytes; /* received of header and payload together */
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
	wish->is_image_due = false;
	poke(gpu);
	g_mutex_unlock(&gpu->lock);
}

static bool ask(struct vhost_user_gpu *gpu, const struct question *question)
{
	bool is_asked = false;

	g_mutex_lock(&gpu->lock);
	if (gpu_is_watched(&gpu->base) && g_atomic_int_get(&gpu->n_questions) < MAX_QUESTIONS) {
		struct question *copy = g_new(struct question, 1);

		g_atomic_int_inc(&gpu->n_questions);
		*copy = *question;
		copy->deadline_us = g_get_monotonic_time() + ANSWER_TIMEOUT_US;
		g_queue_push_tail(&gpu->asked, copy);
		poke(gpu);
		is_asked = true;
	}
	g_mutex_unlock(&gpu->lock);
	return is_asked;
}

static bool gpu_request_info(struct display *d, uint64_t token)
{
	return ask(from_base(d), &(struct question){ .kind = ASK_INFO, .token = token });
}

static bool gpu_request_edid(struct display *d, uint64_t token, uint32_t scanout_id)
{
	return ask(from_base(d), &(struct question){
					 .kind = ASK_EDID,
					 .token = token,
					 .scanout_id = scanout_id,
				 });
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

/* ---- display thread: questions ---- */

static void question_free(struct vhost_user_gpu *gpu, struct question *question)
{
	if (question->kind == ASK_INFO || question->kind == ASK_EDID) {
		g_atomic_int_add(&gpu->n_questions, -1);
	}
	g_free(question);
}

static void answer_none(struct vhost_user_gpu *gpu, struct question *question)
{
	if (question->is_answered) {
		return;
	}
	question->is_answered = true;
	if (question->kind == ASK_INFO) {
		gpu->base.listener->info(gpu->base.listener_data, question->token, NULL);
	} else if (question->kind == ASK_EDID) {
		gpu->base.listener->edid(gpu->base.listener_data, question->token, NULL);
	}
}

static void answer_none_to_all(struct vhost_user_gpu *gpu)
{
	GQueue dropped = G_QUEUE_INIT;
	struct question *question;

	g_mutex_lock(&gpu->lock);
	while ((question = g_queue_pop_head(&gpu->asked)) != NULL) {
		g_queue_push_tail(&dropped, question);
	}
	g_mutex_unlock(&gpu->lock);
	while ((question = g_queue_pop_head(&gpu->awaited)) != NULL) {
		answer_none(gpu, question);
		question_free(gpu, question);
	}
	while ((question = g_queue_pop_head(&dropped)) != NULL) {
		answer_none(gpu, question);
		question_free(gpu, question);
	}
}

/* Late ones of a queue are told "none"; returns the next deadline or 0. */
static gint64 expire(struct vhost_user_gpu *gpu, GQueue *queue, gint64 now_us)
{
	for (GList *link = queue->head; link != NULL; link = link->next) {
		struct question *question = link->data;

		if (question->is_answered || question->kind == ASK_BARRIER ||
		    question->kind == ASK_PROTOCOL_FEATURES) {
			continue;
		}
		if (question->deadline_us > now_us) {
			return question->deadline_us;
		}
		log_warn("the front-end's display does not answer; the guest is told our own data");
		answer_none(gpu, question);
	}
	return 0;
}

static void arm_answer_timer(struct vhost_user_gpu *gpu)
{
	gint64 now_us = g_get_monotonic_time();
	gint64 next_us = expire(gpu, &gpu->awaited, now_us);

	/* Unsent ones are younger; once told "none" they need not be sent. */
	g_mutex_lock(&gpu->lock);
	gint64 next_asked_us = expire(gpu, &gpu->asked, now_us);
	for (struct question *head = g_queue_peek_head(&gpu->asked);
	     head != NULL && head->is_answered; head = g_queue_peek_head(&gpu->asked)) {
		question_free(gpu, g_queue_pop_head(&gpu->asked));
	}
	g_mutex_unlock(&gpu->lock);
	if (next_us == 0) {
		next_us = next_asked_us;
	}
	if (next_us != 0) {
		loop_timer_arm(&gpu->loop, &gpu->answer_timer, next_us - now_us);
	} else {
		loop_timer_disarm(&gpu->loop, &gpu->answer_timer);
	}
}

static void answer_timer_expired(void *data)
{
	arm_answer_timer(data);
}

/* ---- display thread: the channel ---- */

static void out_clear(struct vhost_user_gpu *gpu)
{
	frame_unref(gpu->out.frame);
	gpu->out.frame = NULL;
	gpu->out.total_bytes = 0;
	gpu->out.sent_bytes = 0;
	gpu->out.head_bytes = 0;
}

static void close_channel(struct vhost_user_gpu *gpu)
{
	if (gpu->socket >= 0) {
		loop_remove(&gpu->loop, &gpu->source);
		close(gpu->socket);
		gpu->socket = -1;
	}
	out_clear(gpu);
	memset(gpu->surfaces, 0, sizeof(gpu->surfaces));
	gpu->is_negotiated = false;
	gpu->is_acceptance_due = false;
	gpu->protocol_features = 0;
	gpu->wants_output = false;
	gpu->reply_bytes = 0;
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
	if (!gpu->has_new_socket) {
		g_atomic_int_set(&gpu->is_watched, 0);
	}
	forget_wishes(gpu);
	g_mutex_unlock(&gpu->lock);
	answer_none_to_all(gpu);
	arm_answer_timer(gpu);
}

/* Append a message of these bytes to the head. */
static void out_message(struct outgoing *out, enum vug_request request, const void *payload,
			size_t payload_bytes, uint64_t pixel_bytes)
{
	struct vug_header header = {
		.request = request,
		.size = (uint32_t)(payload_bytes + pixel_bytes),
	};

	g_assert(out->head_bytes + sizeof(header) + payload_bytes <= sizeof(out->head));
	memcpy(out->head + out->head_bytes, &header, sizeof(header));
	out->head_bytes += sizeof(header);
	if (payload_bytes > 0) {
		memcpy(out->head + out->head_bytes, payload, payload_bytes);
	}
	out->head_bytes += payload_bytes;
	out->total_bytes += sizeof(header) + payload_bytes + pixel_bytes;
}

static void await(struct vhost_user_gpu *gpu, enum question_kind kind)
{
	struct question *question = g_new0(struct question, 1);

	question->kind = kind;
	g_queue_push_tail(&gpu->awaited, question);
}

/* Each pick_* fills gpu->out and returns true, or finds nothing to send. */

static bool pick_acceptance(struct vhost_user_gpu *gpu)
{
	if (!gpu->is_acceptance_due) {
		return false;
	}
	gpu->is_acceptance_due = false;
	out_message(&gpu->out, VUG_SET_PROTOCOL_FEATURES, &gpu->protocol_features,
		    sizeof(gpu->protocol_features), 0);
	return true;
}

static bool pick_question(struct vhost_user_gpu *gpu)
{
	struct question *question;

	g_mutex_lock(&gpu->lock);
	question = g_queue_peek_head(&gpu->asked);
	if (question != NULL && question->kind == ASK_EDID && !gpu->is_negotiated) {
		question = NULL; /* not yet known whether it may be asked */
	}
	if (question != NULL) {
		g_queue_pop_head(&gpu->asked);
	}
	g_mutex_unlock(&gpu->lock);
	if (question == NULL) {
		return false;
	}
	if (question->kind == ASK_INFO) {
		out_message(&gpu->out, VUG_GET_DISPLAY_INFO, NULL, 0, 0);
		g_queue_push_tail(&gpu->awaited, question);
	} else if (gpu->protocol_features & 1u << VUG_PROTOCOL_F_EDID) {
		struct vug_edid_request body = { question->scanout_id };

		out_message(&gpu->out, VUG_GET_EDID, &body, sizeof(body), 0);
		g_queue_push_tail(&gpu->awaited, question);
		out_message(&gpu->out, VUG_GET_DISPLAY_INFO, NULL, 0, 0);
		await(gpu, ASK_BARRIER);
	} else {
		answer_none(gpu, question);
		question_free(gpu, question);
		return pick_question(gpu);
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
			out_message(&gpu->out, VUG_CURSOR_UPDATE, &wish->state, sizeof(wish->state),
				    0);
		} else if (wish->is_move_due) {
			out_message(&gpu->out,
				    wish->is_hidden ? VUG_CURSOR_POS_HIDE : VUG_CURSOR_POS,
				    &wish->state.pos, sizeof(wish->state.pos), 0);
		} else {
			is_found = false;
			continue;
		}
		wish->is_image_due = false;
		wish->is_move_due = false;
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
	out_message(&gpu->out, VUG_SCANOUT, &body, sizeof(body), 0);
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

		out_message(&gpu->out, VUG_SCANOUT, &body, sizeof(body), 0);
		gpu->surfaces[scanout_id].width = view->width;
		gpu->surfaces[scanout_id].height = view->height;
		damage = (struct rect){ 0, 0, view->width, view->height };
	}
	struct vug_update body = { scanout_id, damage.x, damage.y, damage.width, damage.height };
	out_message(&gpu->out, VUG_UPDATE, &body, sizeof(body),
		    (uint64_t)damage.width * damage.height * sizeof(uint32_t));
	gpu->out.frame = consume_wish->frame;
	gpu->out.pixels = (struct rect){ view->x + damage.x, view->y + damage.y, damage.width,
					 damage.height };
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

/* Pieces of the message from sent_bytes on. Returns how many. */
static size_t out_to_iov(const struct outgoing *out, struct iovec *iov, size_t max_iov)
{
	uint64_t skip = out->sent_bytes;
	size_t n = 0;

	if (skip < out->head_bytes) {
		iov[n++] = (struct iovec){ (char *)(uintptr_t)out->head + skip,
					   out->head_bytes - (size_t)skip };
		skip = 0;
	} else {
		skip -= out->head_bytes;
	}
	if (out->frame == NULL) {
		return n;
	}
	size_t row_bytes = (size_t)out->pixels.width * sizeof(uint32_t);
	/* Whole rows have no gap between them. */
	if (row_bytes == out->frame->stride_bytes) {
		char *start = (char *)frame_pixel(out->frame, 0, out->pixels.y);

		iov[n++] = (struct iovec){ start + skip, row_bytes * out->pixels.height - skip };
		return n;
	}
	for (uint32_t row = (uint32_t)(skip / row_bytes); row < out->pixels.height && n < max_iov;
	     row++) {
		char *start = (char *)frame_pixel(out->frame, out->pixels.x, out->pixels.y + row);
		size_t inside = skip % row_bytes;

		iov[n++] = (struct iovec){ start + inside, row_bytes - inside };
		skip = 0;
	}
	return n;
}

/* Returns 0 when the message is out, -EAGAIN when the socket is full, or -errno. */
static int out_send(struct vhost_user_gpu *gpu)
{
	struct outgoing *out = &gpu->out;

	while (out->sent_bytes < out->total_bytes) {
		struct iovec iov[MAX_IOV];
		size_t n_iov = out_to_iov(out, iov, MAX_IOV);
		ssize_t n = sock_send(gpu->socket, iov, n_iov, -1);

		if (n < 0) {
			return (int)n;
		}
		out->sent_bytes += (uint64_t)n;
	}
	out_clear(gpu);
	return 0;
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
		if (gpu->out.total_bytes == 0 && !pick_message(gpu)) {
			want_output(gpu, false);
			return;
		}
		int error = out_send(gpu);
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

static void handle_protocol_features(struct vhost_user_gpu *gpu, size_t size)
{
	uint64_t offered = size == sizeof(uint64_t) ? gpu->reply.protocol_features : 0;

	gpu->protocol_features = offered & 1u << VUG_PROTOCOL_F_EDID;
	gpu->is_negotiated = true;
	gpu->is_acceptance_due = true;
	log_debug("display protocol features 0x%" G_GINT64_MODIFIER "x", gpu->protocol_features);
}

/* The question that a reply of this kind answers, taken off the queue; NULL: none. */
static struct question *match(struct vhost_user_gpu *gpu, uint32_t request)
{
	struct question *question;

	while ((question = g_queue_peek_head(&gpu->awaited)) != NULL) {
		bool is_info = question->kind == ASK_INFO || question->kind == ASK_BARRIER;
		bool is_match = request == VUG_GET_DISPLAY_INFO		? is_info
				: request == VUG_GET_EDID		? question->kind == ASK_EDID
				: request == VUG_GET_PROTOCOL_FEATURES ? question->kind ==
										 ASK_PROTOCOL_FEATURES
								       : false;
		if (is_match) {
			return g_queue_pop_head(&gpu->awaited);
		}
		/* Answers come in order; only a GET_EDID may stay without one. */
		if (question->kind != ASK_EDID || request != VUG_GET_DISPLAY_INFO) {
			return NULL;
		}
		log_debug("the front-end has no EDID for scanout %u", question->scanout_id);
		answer_none(gpu, question);
		question_free(gpu, g_queue_pop_head(&gpu->awaited));
	}
	return NULL;
}

static void handle_reply(struct vhost_user_gpu *gpu)
{
	uint32_t request = gpu->reply_header.request;
	size_t size = gpu->reply_header.size;
	struct question *question = match(gpu, request);

	if (question == NULL) {
		log_warn("the front-end's display sends message %u, which nobody asked for",
			 request);
		return;
	}
	if (question->kind == ASK_PROTOCOL_FEATURES) {
		handle_protocol_features(gpu, size);
	} else if (question->kind == ASK_INFO && !question->is_answered &&
		   size == sizeof(gpu->reply.info)) {
		gpu->base.listener->info(gpu->base.listener_data, question->token,
					 &gpu->reply.info);
	} else if (question->kind == ASK_EDID && !question->is_answered &&
		   size == sizeof(gpu->reply.edid)) {
		gpu->base.listener->edid(gpu->base.listener_data, question->token,
					 &gpu->reply.edid);
	} else {
		answer_none(gpu, question);
	}
	question_free(gpu, question);
	arm_answer_timer(gpu);
}

/* Receive what has come. Returns false if the channel was lost. */
static bool receive_replies(struct vhost_user_gpu *gpu)
{
	for (;;) {
		size_t header_bytes = sizeof(gpu->reply_header);
		size_t wanted = header_bytes;
		char *to = (char *)&gpu->reply_header + gpu->reply_bytes;
		int fds[SOCK_MAX_FDS];
		size_t n_fds = 0;

		if (gpu->reply_bytes >= header_bytes) {
			if (gpu->reply_header.size > sizeof(gpu->reply) ||
			    !(gpu->reply_header.flags & VUG_FLAG_REPLY)) {
				log_warn("the front-end's display sends what is no reply; the "
					 "channel is closed");
				lose_channel(gpu);
				return false;
			}
			wanted += gpu->reply_header.size;
			to = (char *)&gpu->reply + (gpu->reply_bytes - header_bytes);
		}
		if (gpu->reply_bytes == wanted) {
			gpu->reply_bytes = 0;
			handle_reply(gpu);
			continue;
		}
		ssize_t n = sock_receive(gpu->socket, to, wanted - gpu->reply_bytes, fds, &n_fds);
		for (size_t i = 0; i < n_fds; i++) {
			close(fds[i]);
		}
		if (n == -EAGAIN) {
			return true;
		}
		if (n <= 0) {
			log_info("the display channel is closed by the front-end");
			lose_channel(gpu);
			return false;
		}
		gpu->reply_bytes += (size_t)n;
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
	answer_none_to_all(gpu);
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
	out_message(&gpu->out, VUG_GET_PROTOCOL_FEATURES, NULL, 0, 0);
	await(gpu, ASK_PROTOCOL_FEATURES);
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
	g_queue_init(&gpu->asked);
	g_queue_init(&gpu->awaited);

	int error = loop_init(&gpu->loop, woken, gpu);
	if (error < 0) {
		g_mutex_clear(&gpu->lock);
		g_free(gpu);
		return error;
	}
	gpu->thread = g_thread_try_new("display", thread_main, gpu, &thread_error);
	if (gpu->thread == NULL) {
		log_error("starting the display thread: %s", thread_error->message);
		g_error_free(thread_error);
		loop_finish(&gpu->loop);
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
	g_queue_clear_full(&gpu->asked, g_free);
	g_queue_clear_full(&gpu->awaited, g_free);
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
