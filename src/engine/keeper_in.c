/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A renderer process may have been taken over: each number is checked before
 * it is used, what it can make us hold is bounded, and a message that makes no
 * sense is the end of it.
 */
#include "engine/process_engine.h"

#include <errno.h>

#include "util/checked.h"
#include "util/log.h"

/* More than a guest can make of its quota; arenas are twice that (see renderer_process.c). */
#define MAX_ARENA_FACTOR 4

/* A picture that our display reads. */
struct loan {
	struct process_engine *engine;
	struct arena_view *view;
	uint32_t slot;
};

/* From any thread of the display. */
static void loan_sent(void *data)
{
	const struct loan *loan = data;

	g_atomic_int_compare_and_exchange(&loan->engine->shared->slots[loan->slot],
					  LINK_SLOT_WAITING, LINK_SLOT_SENT);
}

static void loan_done(void *data)
{
	struct loan *loan = data;

	g_atomic_int_set(&loan->engine->held[loan->slot], 0);
	g_atomic_int_set(&loan->engine->shared->slots[loan->slot], LINK_SLOT_FREE);
	arena_view_unref(loan->view);
	g_free(loan);
}

static const struct frame_lender lender = { .sent = loan_sent, .done = loan_done };

static bool handle_hello(struct process_engine *engine, struct link_message *message)
{
	const struct link_hello *hello = link_body(message, sizeof(*hello));
	struct arena_view *view;

	if (hello == NULL || message->n_fds != 1 || engine->view != NULL ||
	    hello->arena_bytes / MAX_ARENA_FACTOR > engine->base.options.quota->limit_bytes) {
		return false;
	}
	int error = arena_view_create(message->fds[0], hello->arena_bytes, &view);
	if (error < 0) {
		log_error("mapping a renderer process's pictures: %s", g_strerror(-error));
		return false;
	}
	engine->view = view;
	return true;
}

static bool handle_running(struct process_engine *engine,
			   struct link_message *message G_GNUC_UNUSED)
{
	engine->is_running = true;
	log_info("process %d renders, %" G_GINT64_FORMAT " ms after it was started",
		 (int)engine->pid, (g_get_monotonic_time() - engine->started_us) / 1000);
	return true;
}

static bool is_kind(uint32_t kind)
{
	return kind >= RECORD_RESOURCE && kind <= RECORD_CURSOR;
}

static bool handle_put(struct process_engine *engine, struct link_message *message)
{
	const struct link_record *head = message->body;

	if (message->size_bytes < sizeof(*head) || !is_kind(head->kind)) {
		return false;
	}
	/* Of before a reset that it did not know yet. */
	if (head->generation != engine->generation) {
		return true;
	}
	return keepsakes_put(&engine->keepsakes, head->kind, head->id, head + 1,
			     message->size_bytes - sizeof(*head));
}

static bool handle_drop(struct process_engine *engine, struct link_message *message)
{
	const struct link_record *head = link_body(message, sizeof(*head));

	if (head == NULL || !is_kind(head->kind)) {
		return false;
	}
	if (head->generation == engine->generation) {
		keepsakes_drop(&engine->keepsakes, head->kind, head->id);
	}
	return true;
}

static bool handle_drop_all(struct process_engine *engine, struct link_message *message)
{
	const struct link_record *head = link_body(message, sizeof(*head));

	if (head != NULL && head->generation == engine->generation) {
		keepsakes_clear(&engine->keepsakes);
		/* It knew of the reset, but its device not yet, when it asked for these. */
		mappings_take_back(&engine->mappings);
	}
	return head != NULL;
}

/* Inside the frame, and the damage inside what is seen of it. NULL: not so. */
static const void *check_picture(const struct process_engine *engine,
				 const struct link_picture *picture)
{
	uint64_t size;

	if (picture->slot >= LINK_N_SLOTS || picture->scanout_id >= DISPLAY_MAX_SCANOUTS ||
	    engine->view == NULL || picture->offset % sizeof(uint32_t) != 0 ||
	    !rect_is_inside(&picture->view, picture->width, picture->height) ||
	    !rect_is_inside(&picture->damage, picture->view.width, picture->view.height) ||
	    rect_is_empty(&picture->damage) || picture->view.width < DISPLAY_MIN_SIDE ||
	    picture->view.height < DISPLAY_MIN_SIDE || picture->view.width > DISPLAY_MAX_SIDE ||
	    picture->view.height > DISPLAY_MAX_SIDE ||
	    !checked_mul_u64((uint64_t)picture->width * sizeof(uint32_t), picture->height, &size)) {
		return NULL;
	}
	return arena_view_at(engine->view, picture->offset, size);
}

/* A channel that is lost is seen by who shows something. */
static void note_display(struct process_engine *engine)
{
	if (!display_is_watched(engine->display)) {
		g_mutex_lock(&engine->lock);
		keeper_note_display(engine);
		g_mutex_unlock(&engine->lock);
	}
}

/* A reference to it, or NULL: it makes no sense. */
static struct frame *borrow(struct process_engine *engine, const struct link_picture *picture)
{
	const void *pixels = check_picture(engine, picture);

	if (pixels == NULL || g_atomic_int_get(&engine->held[picture->slot]) != 0) {
		return NULL;
	}
	struct loan *loan = g_new(struct loan, 1);
	*loan = (struct loan){ engine, arena_view_ref(engine->view), picture->slot };
	g_atomic_int_set(&engine->held[picture->slot], 1);
	return frame_borrow(pixels, picture->width, picture->height,
			    (size_t)picture->width * sizeof(uint32_t), &lender, loan);
}

static bool handle_picture(struct process_engine *engine, struct link_message *message)
{
	const struct link_picture *picture = link_body(message, sizeof(*picture));
	struct frame *frame = picture != NULL ? borrow(engine, picture) : NULL;

	if (frame == NULL) {
		return false;
	}
	const struct display_picture shown = { frame, picture->view, picture->serial };
	display_reclaim(engine->display);
	bool is_waiting = display_update(engine->display, picture->scanout_id, &shown,
					 &picture->damage);
	frame_unref(frame);
	if (!is_waiting) {
		keeper_picture_went(engine, picture->scanout_id, picture->serial);
	}
	note_display(engine);
	return true;
}

static bool handle_dmabuf(struct process_engine *engine, struct link_message *message)
{
	const struct link_dmabuf *dmabuf = link_body(message, sizeof(*dmabuf));

	/* Nobody asked for them, unless they are used. */
	if (dmabuf == NULL || dmabuf->number >= LINK_N_DMABUFS ||
	    !options_use_dmabufs(engine->base.options.options) ||
	    message->n_fds != (dmabuf->is_gone ? 0 : 1)) {
		return false;
	}
	g_clear_pointer(&engine->dmabufs[dmabuf->number], dmabuf_unref);
	if (dmabuf->is_gone) {
		return true;
	}
	int error = dmabuf_check(message->fds[0], &dmabuf->layout);
	if (error < 0 || dmabuf->layout.offset_bytes != 0 ||
	    dmabuf->layout.width < DISPLAY_MIN_SIDE || dmabuf->layout.height < DISPLAY_MIN_SIDE) {
		log_debug("a renderer process shows a buffer that is none: %s",
			  g_strerror(-error));
		return false;
	}
	engine->dmabufs[dmabuf->number] =
		dmabuf_create(&dmabuf->layout, link_take_fd(message, 0));
	return true;
}

static bool handle_draw(struct process_engine *engine, struct link_message *message)
{
	const struct link_draw *draw = link_body(message, sizeof(*draw));

	if (draw == NULL || draw->number >= LINK_N_DMABUFS ||
	    draw->scanout_id >= DISPLAY_MAX_SCANOUTS || rect_is_empty(&draw->damage)) {
		return false;
	}
	struct dmabuf *dmabuf = engine->dmabufs[draw->number];
	if (dmabuf == NULL ||
	    !rect_is_inside(&draw->damage, dmabuf->layout.width, dmabuf->layout.height)) {
		return false;
	}
	/* It waits till it has been drawn; unless nobody is there to draw it. */
	if (!display_update_dmabuf(engine->display, draw->scanout_id, dmabuf, draw->serial,
				   &draw->damage)) {
		keeper_picture_went(engine, draw->scanout_id, draw->serial);
	}
	note_display(engine);
	return true;
}

static bool handle_off(struct process_engine *engine, struct link_message *message)
{
	const uint32_t *scanout_id = link_body(message, sizeof(*scanout_id));

	if (scanout_id == NULL || *scanout_id >= DISPLAY_MAX_SCANOUTS) {
		return false;
	}
	display_disable(engine->display, *scanout_id);
	return true;
}

static bool handle_cursor(struct process_engine *engine, struct link_message *message)
{
	const struct link_cursor *head = message->body;

	if ((message->size_bytes != sizeof(*head) &&
	     message->size_bytes != sizeof(*head) + LINK_CURSOR_PIXELS_BYTES) ||
	    head->scanout_id >= DISPLAY_MAX_SCANOUTS || head->hot_x >= DISPLAY_CURSOR_SIDE ||
	    head->hot_y >= DISPLAY_CURSOR_SIDE) {
		return false;
	}
	const struct display_cursor cursor = {
		.scanout_id = head->scanout_id,
		.x = head->x,
		.y = head->y,
		.hot_x = head->hot_x,
		.hot_y = head->hot_y,
		.pixels = message->size_bytes > sizeof(*head) ? (const uint32_t *)(head + 1) : NULL,
	};
	display_cursor_set(engine->display, &cursor);
	return true;
}

static bool handle_cursor_hide(struct process_engine *engine, struct link_message *message)
{
	const struct link_cursor *cursor = link_body(message, sizeof(*cursor));

	if (cursor == NULL || cursor->scanout_id >= DISPLAY_MAX_SCANOUTS) {
		return false;
	}
	display_cursor_hide(engine->display, cursor->scanout_id, cursor->x, cursor->y);
	return true;
}

static bool handle_ask_info(struct process_engine *engine, struct link_message *message)
{
	const struct link_question *question = link_body(message, sizeof(*question));

	return question != NULL && keeper_out_ask(engine, LINK_INFO, question->token, 0);
}

static bool handle_ask_edid(struct process_engine *engine, struct link_message *message)
{
	const struct link_question *question = link_body(message, sizeof(*question));

	return question != NULL && question->scanout_id < DISPLAY_MAX_SCANOUTS &&
	       keeper_out_ask(engine, LINK_EDID, question->token, question->scanout_id);
}

static bool handle_map(struct process_engine *engine, struct link_message *message)
{
	const struct link_mapping *ask = link_body(message, sizeof(*ask));

	if (ask == NULL || message->n_fds != 1) {
		return false;
	}
	return ask->generation != engine->generation ||
	       mappings_map(&engine->mappings, ask, message->fds[0]);
}

static bool handle_unmap(struct process_engine *engine, struct link_message *message)
{
	const struct link_mapping *ask = link_body(message, sizeof(*ask));

	if (ask == NULL) {
		return false;
	}
	return ask->generation != engine->generation || mappings_unmap(&engine->mappings, ask);
}

/* False: it was not asked. */
static bool take_grab(uint32_t *open, uint32_t scanout_id)
{
	bool is_open = scanout_id < DISPLAY_MAX_SCANOUTS && (*open & 1u << scanout_id) != 0;

	if (is_open) {
		*open &= ~(1u << scanout_id);
	}
	return is_open;
}

static bool handle_grabbed(struct process_engine *engine, struct link_message *message)
{
	const struct link_grabbed *grabbed = link_body(message, sizeof(*grabbed));
	struct frame *frame = NULL;

	if (grabbed == NULL || !take_grab(&engine->open_grabs, grabbed->picture.scanout_id)) {
		return false;
	}
	if (!grabbed->is_none) {
		frame = borrow(engine, &grabbed->picture);
		if (frame == NULL) {
			return false;
		}
		/* It waits for no display. */
		frame_was_sent(frame);
	}
	engine->base.options.grabbed(engine->base.options.data, grabbed->picture.scanout_id, frame,
				     &grabbed->picture.view);
	return true;
}

static bool handle_grabbed_cursor(struct process_engine *engine, struct link_message *message)
{
	const struct link_cursor *head = message->body;
	size_t size = message->size_bytes;

	if ((size != sizeof(*head) && size != sizeof(*head) + LINK_CURSOR_PIXELS_BYTES) ||
	    !take_grab(&engine->open_cursor_grabs, head->scanout_id)) {
		return false;
	}
	engine->base.options.grabbed_cursor(
		engine->base.options.data, head->scanout_id,
		size > sizeof(*head) ? g_memdup2(head + 1, LINK_CURSOR_PIXELS_BYTES) : NULL);
	return true;
}

static bool handle_mode_set(struct process_engine *engine, struct link_message *message)
{
	const struct link_mode *mode = link_body(message, sizeof(*mode));

	if (mode == NULL || mode->scanout_id >= DISPLAY_MAX_SCANOUTS ||
	    (engine->known_modes & 1u << mode->scanout_id) == 0) {
		return false;
	}
	engine->base.options.mode_set(engine->base.options.data, mode->scanout_id, mode->width,
				      mode->height);
	return true;
}

typedef bool (*handle_fn)(struct process_engine *engine, struct link_message *message);

static const handle_fn handlers[] = {
	[LINK_HELLO] = handle_hello,
	[LINK_RUNNING] = handle_running,
	[LINK_PUT] = handle_put,
	[LINK_DROP] = handle_drop,
	[LINK_DROP_ALL] = handle_drop_all,
	[LINK_PICTURE] = handle_picture,
	[LINK_DMABUF] = handle_dmabuf,
	[LINK_DRAW] = handle_draw,
	[LINK_OFF] = handle_off,
	[LINK_CURSOR] = handle_cursor,
	[LINK_CURSOR_HIDE] = handle_cursor_hide,
	[LINK_ASK_INFO] = handle_ask_info,
	[LINK_ASK_EDID] = handle_ask_edid,
	[LINK_MAP] = handle_map,
	[LINK_UNMAP] = handle_unmap,
	[LINK_GRABBED] = handle_grabbed,
	[LINK_GRABBED_CURSOR] = handle_grabbed_cursor,
	[LINK_MODE_SET] = handle_mode_set,
};

int keeper_in_take(struct process_engine *engine, unsigned int max)
{
	for (unsigned int i = 0; i < max; i++) {
		struct link_message message;
		int error = link_receive(engine->link_fd, engine->buffer, &message);

		if (error < 0) {
			return error == -EMSGSIZE ? -EBADMSG : error;
		}
		bool is_handled = message.type < G_N_ELEMENTS(handlers) &&
				  handlers[message.type] != NULL &&
				  handlers[message.type](engine, &message);
		link_message_finish(&message);
		if (!is_handled) {
			return -EBADMSG;
		}
	}
	return 0;
}
