/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The formats that a picture may have, and from each of them into that of a frame.
 *
 * Named by DRM's codes (drm_fourcc.h), which name the bits of a little-endian
 * word from the highest down: PIXEL_XRGB8888 has bytes B, G, R, X in memory. A
 * frame's pixels are PIXEL_ARGB8888.
 */
#pragma once

#include <stdint.h>

#define PIXEL_FOURCC(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

enum pixel_format {
	PIXEL_NONE = 0,
	PIXEL_ARGB8888 = PIXEL_FOURCC('A', 'R', '2', '4'),
	PIXEL_XRGB8888 = PIXEL_FOURCC('X', 'R', '2', '4'),
	PIXEL_ABGR8888 = PIXEL_FOURCC('A', 'B', '2', '4'),
	PIXEL_XBGR8888 = PIXEL_FOURCC('X', 'B', '2', '4'),
	PIXEL_RGBA8888 = PIXEL_FOURCC('R', 'A', '2', '4'),
	PIXEL_RGBX8888 = PIXEL_FOURCC('R', 'X', '2', '4'),
	PIXEL_BGRA8888 = PIXEL_FOURCC('B', 'A', '2', '4'),
	PIXEL_BGRX8888 = PIXEL_FOURCC('B', 'X', '2', '4'),
	PIXEL_ARGB2101010 = PIXEL_FOURCC('A', 'R', '3', '0'),
	PIXEL_XRGB2101010 = PIXEL_FOURCC('X', 'R', '3', '0'),
	PIXEL_ABGR2101010 = PIXEL_FOURCC('A', 'B', '3', '0'),
	PIXEL_XBGR2101010 = PIXEL_FOURCC('X', 'B', '3', '0'),
	PIXEL_ARGB1555 = PIXEL_FOURCC('A', 'R', '1', '5'),
	PIXEL_XRGB1555 = PIXEL_FOURCC('X', 'R', '1', '5'),
	PIXEL_ARGB4444 = PIXEL_FOURCC('A', 'R', '1', '2'),
	PIXEL_XRGB4444 = PIXEL_FOURCC('X', 'R', '1', '2'),
	PIXEL_RGB565 = PIXEL_FOURCC('R', 'G', '1', '6'),
	PIXEL_BGR565 = PIXEL_FOURCC('B', 'G', '1', '6'),
};

/* Bytes of one pixel, 2 or 4; 0 for PIXEL_NONE. */
uint32_t pixels_size(enum pixel_format format);

/*
 * n pixels of one row into a frame's format. A channel of fewer bits than eight
 * goes from black to full, one of more loses its lowest; a pixel without alpha
 * is opaque. from is aligned as its pixels are, isn't to change meanwhile, and
 * to is elsewhere.
 */
void pixels_convert_row(uint32_t *to, const void *from, enum pixel_format format, uint32_t n);
