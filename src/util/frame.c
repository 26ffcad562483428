/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/frame.h"

#include <string.h>

#include "util/checked.h"

static struct frame *create(struct quota *quota, uint32_t width, uint32_t height, bool is_zeroed)
{
	uint64_t stride = (uint64_t)width * sizeof(uint32_t);
	uint64_t size;

	if (!checked_mul_u64(stride, height, &size) || size > SIZE_MAX ||
	    quota_charge(quota, size) != QUOTA_OK) {
		return NULL;
	}
	uint32_t *pixels = is_zeroed ? g_try_malloc0((gsize)size) : g_try_malloc((gsize)size);
	if (pixels == NULL && size > 0) {
		quota_release(quota, size);
		return NULL;
	}
	struct frame *frame = g_new(struct frame, 1);
	*frame = (struct frame){
		.width = width,
		.height = height,
		.stride_bytes = (size_t)stride,
		.pixels = pixels,
		.quota = quota,
		.charged_bytes = size,
	};
	g_atomic_ref_count_init(&frame->refs);
	return frame;
}

struct frame *frame_create(struct quota *quota, uint32_t width, uint32_t height)
{
	return create(quota, width, height, true);
}

struct frame *frame_ref(struct frame *frame)
{
	g_atomic_ref_count_inc(&frame->refs);
	return frame;
}

void frame_unref(struct frame *frame)
{
	if (frame == NULL || !g_atomic_ref_count_dec(&frame->refs)) {
		return;
	}
	quota_release(frame->quota, frame->charged_bytes);
	g_free(frame->pixels);
	g_free(frame);
}

/* Copy the rows [from, to), whole. */
static void copy_rows(struct frame *to_frame, const struct frame *from_frame, uint32_t from,
		      uint32_t to)
{
	memcpy(frame_pixel(to_frame, 0, from), frame_pixel(from_frame, 0, from),
	       (size_t)(to - from) * from_frame->stride_bytes);
}

static void copy_outside(struct frame *to, const struct frame *from, const struct rect *hole)
{
	uint32_t right = hole->x + hole->width;
	uint32_t bottom = hole->y + hole->height;

	copy_rows(to, from, 0, hole->y);
	copy_rows(to, from, bottom, from->height);
	for (uint32_t y = hole->y; y < bottom; y++) {
		memcpy(frame_pixel(to, 0, y), frame_pixel(from, 0, y), hole->x * sizeof(uint32_t));
		memcpy(frame_pixel(to, right, y), frame_pixel(from, right, y),
		       (from->width - right) * sizeof(uint32_t));
	}
}

bool frame_make_writable(struct frame **frame, const struct rect *overwritten)
{
	struct frame *old = *frame;

	if (g_atomic_ref_count_compare(&old->refs, 1)) {
		return true;
	}
	struct frame *copy = create(old->quota, old->width, old->height, false);
	if (copy == NULL) {
		return false;
	}
	copy_outside(copy, old, overwritten);
	frame_unref(old);
	*frame = copy;
	return true;
}

void frame_clear(struct frame *frame, const struct rect *rect)
{
	for (uint32_t row = 0; row < rect->height; row++) {
		memset(frame_pixel(frame, rect->x, rect->y + row), 0,
		       rect->width * sizeof(uint32_t));
	}
}
