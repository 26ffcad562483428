/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "display/vug_wishes.h"

#include <string.h>

void vug_wishes_init(struct vug_wishes *w, const struct display *display)
{
	w->display = display;
	g_mutex_init(&w->lock);
}

static void drop_picture(struct vug_picture_wish *wish)
{
	g_clear_pointer(&wish->frame, frame_unref);
	g_clear_pointer(&wish->dmabuf, dmabuf_unref);
}

void vug_wishes_finish(struct vug_wishes *w)
{
	for (size_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		drop_picture(&w->pictures[i]);
	}
	g_mutex_clear(&w->lock);
}

static void say_taken(struct vug_wishes *w, const struct vug_picture_wish *wish,
		      uint32_t scanout_id)
{
	if (wish->is_awaited) {
		w->display->listener->taken(w->display->listener_data, scanout_id,
						wish->serial);
	}
}

/* ---- the device's side ---- */

static bool is_picture(const struct vug_picture_wish *wish)
{
	return wish->frame != NULL || wish->dmabuf != NULL;
}

/* wish's frame and buffer are references. In place of the one before, with the damage of both. */
static void replace(struct vug_wishes *w, uint32_t scanout_id,
		    const struct vug_picture_wish *consume_wish)
{
	struct vug_picture_wish *wish = &w->pictures[scanout_id];

	g_mutex_lock(&w->lock);
	struct vug_picture_wish old = *wish;
	*wish = *consume_wish;
	if (is_picture(&old) && old.view.width == wish->view.width &&
	    old.view.height == wish->view.height) {
		wish->damage = rect_union(&old.damage, &wish->damage);
	}
	wish->is_awaited = old.is_awaited;
	g_mutex_unlock(&w->lock);
	drop_picture(&old);
}

void vug_wishes_add_picture(struct vug_wishes *w, uint32_t scanout_id,
			    const struct display_picture *picture, const struct rect *damage)
{
	const struct vug_picture_wish wish = {
		.frame = frame_ref(picture->frame),
		.view = picture->view,
		.serial = picture->serial,
		.damage = *damage,
	};

	replace(w, scanout_id, &wish);
}

void vug_wishes_add_dmabuf(struct vug_wishes *w, uint32_t scanout_id, struct dmabuf *dmabuf,
			   uint32_t serial, const struct rect *damage)
{
	const struct vug_picture_wish wish = {
		.dmabuf = dmabuf_ref(dmabuf),
		.view = { 0, 0, dmabuf->layout.width, dmabuf->layout.height },
		.serial = serial,
		.damage = *damage,
	};

	replace(w, scanout_id, &wish);
}

bool vug_wishes_await(struct vug_wishes *w, uint32_t scanout_id)
{
	struct vug_picture_wish *wish = &w->pictures[scanout_id];

	g_mutex_lock(&w->lock);
	bool is_waiting = is_picture(wish);
	bool is_flying = w->flight.is_up && !w->flight.is_given_up &&
			 w->flight.scanout_id == scanout_id;
	wish->is_awaited = is_waiting;
	if (!is_waiting && is_flying) {
		w->flight.is_awaited = true;
	}
	g_mutex_unlock(&w->lock);
	return is_waiting || is_flying;
}

void vug_wishes_add_off(struct vug_wishes *w, uint32_t scanout_id)
{
	g_mutex_lock(&w->lock);
	struct vug_picture_wish old = w->pictures[scanout_id];
	w->pictures[scanout_id] = (struct vug_picture_wish){ .is_off = true };
	g_mutex_unlock(&w->lock);
	drop_picture(&old);
	say_taken(w, &old, scanout_id);
}

void vug_wishes_add_cursor(struct vug_wishes *w, const struct display_cursor *cursor)
{
	struct vug_cursor_wish *wish = &w->cursors[cursor->scanout_id];

	g_mutex_lock(&w->lock);
	wish->state.pos = (struct vug_cursor_pos){ cursor->scanout_id, cursor->x, cursor->y };
	wish->is_hidden = false;
	wish->is_move_due = true;
	w->due_cursors |= 1u << cursor->scanout_id;
	if (cursor->pixels != NULL) {
		wish->state.hot_x = cursor->hot_x;
		wish->state.hot_y = cursor->hot_y;
		memcpy(wish->state.pixels, cursor->pixels, sizeof(wish->state.pixels));
		wish->is_image_due = true;
	}
	g_mutex_unlock(&w->lock);
}

void vug_wishes_add_cursor_hide(struct vug_wishes *w, uint32_t scanout_id, uint32_t x, uint32_t y)
{
	struct vug_cursor_wish *wish = &w->cursors[scanout_id];

	g_mutex_lock(&w->lock);
	wish->state.pos = (struct vug_cursor_pos){ scanout_id, x, y };
	wish->is_hidden = true;
	wish->is_move_due = true;
	w->due_cursors |= 1u << scanout_id;
	g_mutex_unlock(&w->lock);
}

/* ---- the sender's side ---- */

/* With the lock held: may it go now? */
static bool is_due(const struct vug_wishes *w, const struct vug_picture_wish *wish)
{
	return wish->frame != NULL || wish->is_off || (wish->dmabuf != NULL && !w->flight.is_up);
}

/* With the lock held. Who waits for a buffer hears when it has landed. */
static struct vug_picture_wish take(struct vug_wishes *w, uint32_t scanout_id)
{
	struct vug_picture_wish taken = w->pictures[scanout_id];

	if (taken.dmabuf != NULL) {
		w->flight = (struct vug_flight){
			.is_up = true,
			.is_awaited = taken.is_awaited,
			.scanout_id = scanout_id,
			.serial = taken.serial,
		};
		taken.is_awaited = false;
	}
	w->pictures[scanout_id].frame = NULL;
	w->pictures[scanout_id].dmabuf = NULL;
	w->pictures[scanout_id].is_off = false;
	w->pictures[scanout_id].is_awaited = false;
	w->next_scanout = scanout_id + 1;
	return taken;
}

bool vug_wishes_take_picture(struct vug_wishes *w, uint32_t *scanout_id_out,
			     struct vug_picture_wish *wish_out)
{
	bool is_found = false;
	uint32_t id = 0;

	g_mutex_lock(&w->lock);
	for (unsigned int i = 0; i < DISPLAY_MAX_SCANOUTS && !is_found; i++) {
		id = (w->next_scanout + i) % DISPLAY_MAX_SCANOUTS;
		is_found = is_due(w, &w->pictures[id]);
	}
	if (is_found) {
		*scanout_id_out = id;
		*wish_out = take(w, id);
	}
	g_mutex_unlock(&w->lock);
	if (is_found) {
		say_taken(w, wish_out, id);
	}
	return is_found;
}

bool vug_wishes_take_cursor(struct vug_wishes *w, enum vug_request *request_out,
			    struct vug_cursor_update *state_out)
{
	g_mutex_lock(&w->lock);
	bool is_found = w->due_cursors != 0;
	if (is_found) {
		unsigned int id = (unsigned int)__builtin_ctz(w->due_cursors);
		struct vug_cursor_wish *wish = &w->cursors[id];

		if (wish->is_image_due) {
			*request_out = VUG_CURSOR_UPDATE;
			*state_out = wish->state;
		} else {
			*request_out = wish->is_hidden ? VUG_CURSOR_POS_HIDE : VUG_CURSOR_POS;
			state_out->pos = wish->state.pos;
		}
		/* An image shows the cursor; a hidden one is hidden by the next message. */
		wish->is_move_due = wish->is_image_due && wish->is_hidden;
		wish->is_image_due = false;
		if (!wish->is_move_due) {
			w->due_cursors &= ~(1u << id);
		}
	}
	g_mutex_unlock(&w->lock);
	return is_found;
}

static void say_landed(struct vug_wishes *w, const struct vug_flight *flight)
{
	if (flight->is_awaited) {
		w->display->listener->taken(w->display->listener_data, flight->scanout_id,
					    flight->serial);
	}
}

bool vug_wishes_land(struct vug_wishes *w)
{
	g_mutex_lock(&w->lock);
	struct vug_flight landed = w->flight;
	w->flight = (struct vug_flight){ 0 };
	g_mutex_unlock(&w->lock);
	say_landed(w, &landed);
	return landed.is_up;
}

bool vug_wishes_are_flying(struct vug_wishes *w)
{
	g_mutex_lock(&w->lock);
	bool is_up = w->flight.is_up;
	g_mutex_unlock(&w->lock);
	return is_up;
}

void vug_wishes_forget_dmabufs(struct vug_wishes *w)
{
	g_mutex_lock(&w->lock);
	struct vug_flight flight = w->flight;
	w->flight.is_awaited = false;
	w->flight.is_given_up = true;
	g_mutex_unlock(&w->lock);
	say_landed(w, &flight);
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		struct vug_picture_wish old = { 0 };

		g_mutex_lock(&w->lock);
		if (w->pictures[i].dmabuf != NULL) {
			old = w->pictures[i];
			w->pictures[i] = (struct vug_picture_wish){ 0 };
		}
		g_mutex_unlock(&w->lock);
		drop_picture(&old);
		say_taken(w, &old, i);
	}
}

void vug_wishes_forget(struct vug_wishes *w)
{
	vug_wishes_land(w);
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		g_mutex_lock(&w->lock);
		struct vug_picture_wish old = w->pictures[i];
		w->pictures[i] = (struct vug_picture_wish){ 0 };
		if (w->due_cursors & 1u << i) {
			w->cursors[i].is_image_due = false;
			w->cursors[i].is_move_due = false;
			w->due_cursors &= ~(1u << i);
		}
		g_mutex_unlock(&w->lock);
		drop_picture(&old);
		say_taken(w, &old, i);
	}
}
