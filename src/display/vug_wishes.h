/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the display should show, and does not yet: the latest picture of each
 * scanout with all the damage since the last one sent, the latest cursor. The
 * device leaves its wishes here, whoever sends takes them. A front-end that
 * reads slowly so sees fewer, whole frames.
 *
 * For any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "display/display.h"
#include "display/vug_wire.h"

struct vug_picture_wish {
	struct frame *frame; /* owned reference; NULL: nothing new */
	struct rect view;
	uint32_t serial;
	struct rect damage; /* not yet sent, in scanout coordinates */
	bool is_off;	    /* SCANOUT(0, 0) is due */
	bool is_awaited;    /* say when it is taken */
};

struct vug_cursor_wish {
	bool is_image_due;
	bool is_move_due;
	bool is_hidden;
	struct vug_cursor_update state;
};

struct vug_wishes {
	const struct display *display; /* borrowed, for its listener */
	GMutex lock;
	struct vug_picture_wish pictures[DISPLAY_MAX_SCANOUTS];
	struct vug_cursor_wish cursors[DISPLAY_MAX_SCANOUTS]; /* 16 KiB each, mostly untouched */
	uint32_t due_cursors;	   /* a bit for each that has something to send */
	unsigned int next_scanout; /* has its turn */
};

/* w: zeroed memory. */
void vug_wishes_init(struct vug_wishes *w, const struct display *display);
void vug_wishes_finish(struct vug_wishes *w);

void vug_wishes_add_picture(struct vug_wishes *w, uint32_t scanout_id,
			    const struct display_picture *picture, const struct rect *damage);
/* Is there a picture that was not taken yet? Then listener->taken() says when. */
bool vug_wishes_await(struct vug_wishes *w, uint32_t scanout_id);
void vug_wishes_add_off(struct vug_wishes *w, uint32_t scanout_id);
void vug_wishes_add_cursor(struct vug_wishes *w, const struct display_cursor *cursor);
void vug_wishes_add_cursor_hide(struct vug_wishes *w, uint32_t scanout_id, uint32_t x, uint32_t y);

/*
 * Take the next one, scanouts in turn. False: there is none. A picture's frame
 * is the caller's then; *request_out says which cursor message state is for.
 */
bool vug_wishes_take_picture(struct vug_wishes *w, uint32_t *scanout_id_out,
			     struct vug_picture_wish *wish_out);
bool vug_wishes_take_cursor(struct vug_wishes *w, enum vug_request *request_out,
			    struct vug_cursor_update *state_out);

/* They were for a channel that is no more. */
void vug_wishes_forget(struct vug_wishes *w);
