/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Pixels on their way from a renderer to a display: 32 bits each, PIXEL_ARGB8888
 * (bytes B, G, R, A; pixman's a8r8g8b8), rows top down.
 *
 * Reference-counted across threads. Whoever shares a frame only reads it; the
 * one who wants to write calls frame_make_writable(), which copies it if
 * somebody else still holds it. So a display sends from the frame itself,
 * without a copy and never a torn picture, and the renderer never waits for it.
 *
 * A guest that draws as fast as its display goes through two or three frames
 * in turn. Their memory stays with them (struct frame_store), as fresh memory
 * costs more than the copy that goes into it.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/arena.h"
#include "util/quota.h"
#include "util/rect.h"

/* Of frames of this size the pixels are pages of their own, huge ones where there are. */
#define FRAME_MIN_MAPPED_BYTES (256u << 10)

struct frame_store;

/* Whose pixels a borrowed frame has. Called on any thread. */
struct frame_lender {
	void (*sent)(void *data); /* optional: they are on their way, all of them */
	void (*done)(void *data); /* they are not used any more */
};

struct frame {
	gatomicrefcount refs;
	uint32_t width, height; /* pixels */
	size_t stride_bytes;
	uint32_t *pixels;
	struct frame_store *store; /* owned reference: where pixels come from and go back to; or NULL */
	const struct frame_lender *lender; /* borrowed, if there is no store */
	void *lender_data;
};

/*
 * From now on this process makes its frames in arena (borrowed, outlives every
 * frame), so that another process can read them: frame_offset(). Call it
 * before there is a second thread.
 */
void frame_share(struct arena *arena);

/* All zero. NULL if the quota (borrowed, outlives every frame) or the memory does not allow it. */
struct frame *frame_create(struct quota *quota, uint32_t width, uint32_t height);
/*
 * A frame around pixels of somebody else's, in pages that hold nothing that
 * is not to be shown, rows stride_bytes apart; never written here: not for
 * frame_make_writable(). lender is borrowed.
 */
struct frame *frame_borrow(const void *pixels, uint32_t width, uint32_t height,
			   size_t stride_bytes, const struct frame_lender *lender, void *data);
/* For displays: a picture of it has been sent. */
void frame_was_sent(const struct frame *frame);
struct frame *frame_ref(struct frame *frame);
void frame_unref(struct frame *frame); /* NULL is fine */

/*
 * Make *frame the caller's alone, which it holds one reference of. overwritten
 * (inside the frame) is what the caller is about to write in full; what lies
 * outside it keeps its pixels. False, and *frame as it was, without memory.
 */
bool frame_make_writable(struct frame **frame, const struct rect *overwritten);

/*
 * Are the pixels pages that never hold anything but pixels? Then they may be
 * lent to the kernel (vmsplice(2)).
 */
bool frame_is_mapped(const struct frame *frame);

/* Are all frames made in an arena? Then what is borrowed can't be shown. */
bool frame_is_shared(void);

/* Where in the arena its pixels begin. Only after frame_share(). */
uint64_t frame_offset(const struct frame *frame);

/* All zero, when what was to be written there did not come. rect is inside. */
void frame_clear(struct frame *frame, const struct rect *rect);

static inline uint32_t *frame_pixel(const struct frame *frame, uint32_t x, uint32_t y)
{
	return (uint32_t *)(void *)((char *)frame->pixels + y * frame->stride_bytes) + x;
}
