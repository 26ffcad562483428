/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "display/vug_wishes.h"

#include <string.h>

void vug_wishes_init(struct vug_wishes *w, const struct display *display)
{
	w->display = display;
	g_mutex_init(&w->lock);
}

void vug_wishes_finish(struct vug_wishes *w)
{
	for (size_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		frame_unref(w->pictures[i].frame);
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

void vug_wishes_add_picture(struct vug_wishes *w, uint32_t scanout_id,
			    const struct display_picture *picture, const struct rect *damage)
{
	struct vug_picture_wish *wish = &w->pictures[scanout_id];

	g_mutex_lock(&w->lock);
	struct frame *old = wish->frame;
	wish->frame = frame_ref(picture->frame);
	if (old != NULL && wish->view.width == picture->view.width &&
	    wish->view.height == picture->view.height) {
		wish->damage = rect_union(&wish->damage, damage);
	} else {
		wish->damage = *damage;
	}
	wish->view = picture->view;
	wish->serial = picture->serial;
	wish->is_off = false;
	g_mutex_unlock(&w->lock);
	frame_unref(old);
}

bool vug_wishes_await(struct vug_wishes *w, uint32_t scanout_id)
{
	struct vug_picture_wish *wish = &w->pictures[scanout_id];

	g_mutex_lock(&w->lock);
	bool is_waiting = wish->frame != NULL;
	wish->is_awaited = is_waiting;
	g_mutex_unlock(&w->lock);
	return is_waiting;
}

void vug_wishes_add_off(struct vug_wishes *w, uint32_t scanout_id)
{
	g_mutex_lock(&w->lock);
	struct vug_picture_wish old = w->pictures[scanout_id];
	w->pictures[scanout_id] = (struct vug_picture_wish){ .is_off = true };
	g_mutex_unlock(&w->lock);
	frame_unref(old.frame);
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

bool vug_wishes_take_picture(struct vug_wishes *w, uint32_t *scanout_id_out,
			     struct vug_picture_wish *wish_out)
{
	bool is_found = false;
	uint32_t id = 0;

	g_mutex_lock(&w->lock);
	for (unsigned int i = 0; i < DISPLAY_MAX_SCANOUTS && !is_found; i++) {
		id = (w->next_scanout + i) % DISPLAY_MAX_SCANOUTS;
		is_found = w->pictures[id].frame != NULL || w->pictures[id].is_off;
	}
	if (is_found) {
		*scanout_id_out = id;
		*wish_out = w->pictures[id];
		w->pictures[id].frame = NULL;
		w->pictures[id].is_off = false;
		w->pictures[id].is_awaited = false;
		w->next_scanout = id + 1;
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

void vug_wishes_forget(struct vug_wishes *w)
{
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
		frame_unref(old.frame);
		say_taken(w, &old, i);
	}
}
