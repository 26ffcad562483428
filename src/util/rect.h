/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Rectangles in pixels, origin top left. Empty ones have a side of 0. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rect {
	uint32_t x, y, width, height;
};

static inline bool rect_is_empty(const struct rect *r)
{
	return r->width == 0 || r->height == 0;
}

/* Is r, whose numbers may be anything, inside width x height? */
static inline bool rect_is_inside(const struct rect *r, uint32_t width, uint32_t height)
{
	return (uint64_t)r->x + r->width <= width && (uint64_t)r->y + r->height <= height;
}

static inline bool rect_is_equal(const struct rect *a, const struct rect *b)
{
	return a->x == b->x && a->y == b->y && a->width == b->width && a->height == b->height;
}

static inline struct rect rect_from_edges(uint64_t left, uint64_t top, uint64_t right,
					  uint64_t bottom)
{
	if (right <= left || bottom <= top) {
		return (struct rect){ 0 };
	}
	return (struct rect){ (uint32_t)left, (uint32_t)top, (uint32_t)(right - left),
			      (uint32_t)(bottom - top) };
}

/* The numbers of either may be anything; the result is inside both. */
static inline struct rect rect_intersect(const struct rect *a, const struct rect *b)
{
	uint64_t a_right = (uint64_t)a->x + a->width, b_right = (uint64_t)b->x + b->width;
	uint64_t a_bottom = (uint64_t)a->y + a->height, b_bottom = (uint64_t)b->y + b->height;

	return rect_from_edges(a->x > b->x ? a->x : b->x, a->y > b->y ? a->y : b->y,
			       a_right < b_right ? a_right : b_right,
			       a_bottom < b_bottom ? a_bottom : b_bottom);
}

/* The smallest rectangle around both; neither may reach beyond 2^32 - 1. */
static inline struct rect rect_union(const struct rect *a, const struct rect *b)
{
	if (rect_is_empty(a)) {
		return *b;
	}
	if (rect_is_empty(b)) {
		return *a;
	}
	uint64_t a_right = (uint64_t)a->x + a->width, b_right = (uint64_t)b->x + b->width;
	uint64_t a_bottom = (uint64_t)a->y + a->height, b_bottom = (uint64_t)b->y + b->height;

	return rect_from_edges(a->x < b->x ? a->x : b->x, a->y < b->y ? a->y : b->y,
			       a_right > b_right ? a_right : b_right,
			       a_bottom > b_bottom ? a_bottom : b_bottom);
}
