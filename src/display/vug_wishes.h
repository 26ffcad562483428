/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the display should show, and does not yet: the latest picture of each
 * scanout with all the damage since the last one sent, the latest cursor. The
 * device leaves its wishes here, whoever sends takes them. A front-end that
 * reads slowly so sees fewer, whole frames.
 *
 * A buffer that was taken is in flight until the front-end has drawn it. There
 * is one at a time: QEMU's answers don't say for which scanout they are, and
 * two updates may get one answer. Frames and cursors pass it.
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
	struct frame *frame;   /* owned reference, or */
	struct dmabuf *dmabuf; /* owned reference; both NULL: nothing new */
	struct rect view;
	uint32_t serial;
	struct rect damage; /* not yet sent, in scanout coordinates */
	bool is_off;	    /* SCANOUT(0, 0) is due */
	bool is_awaited;    /* say when it is taken; of a buffer, when it has landed */
};

struct vug_flight {
	bool is_up;
	bool is_awaited; /* say when it has landed */
	bool is_given_up;
	uint32_t scanout_id, serial;
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
	struct vug_flight flight;
	uint32_t due_cursors;	   /* a bit for each that has something to send */
	unsigned int next_scanout; /* has its turn */
};

/* w: zeroed memory. */
void vug_wishes_init(struct vug_wishes *w, const struct display *display);
void vug_wishes_finish(struct vug_wishes *w);

void vug_wishes_add_picture(struct vug_wishes *w, uint32_t scanout_id,
			    const struct display_picture *picture, const struct rect *damage);
void vug_wishes_add_dmabuf(struct vug_wishes *w, uint32_t scanout_id, struct dmabuf *dmabuf,
			   uint32_t serial, const struct rect *damage);
/*
 * Is there a picture that was not taken yet, or a buffer that has not landed?
 * Then listener->taken() says when.
 */
bool vug_wishes_await(struct vug_wishes *w, uint32_t scanout_id);
void vug_wishes_add_off(struct vug_wishes *w, uint32_t scanout_id);
void vug_wishes_add_cursor(struct vug_wishes *w, const struct display_cursor *cursor);
void vug_wishes_add_cursor_hide(struct vug_wishes *w, uint32_t scanout_id, uint32_t x, uint32_t y);

/*
 * Take the next one, scanouts in turn. False: there is none. A picture's frame
 * or buffer is the caller's then, and the buffer is in flight; *request_out
 * says which cursor message state is for.
 */
bool vug_wishes_take_picture(struct vug_wishes *w, uint32_t *scanout_id_out,
			     struct vug_picture_wish *wish_out);
bool vug_wishes_take_cursor(struct vug_wishes *w, enum vug_request *request_out,
			    struct vug_cursor_update *state_out);

/* The front-end has drawn what was in flight. False: nothing was. */
bool vug_wishes_land(struct vug_wishes *w);
bool vug_wishes_are_flying(struct vug_wishes *w);
/* Nobody wants buffers any more. What is in flight stays so until it lands, but nobody waits for it. */
void vug_wishes_forget_dmabufs(struct vug_wishes *w);

/* They were for a channel that is no more. */
void vug_wishes_forget(struct vug_wishes *w);
