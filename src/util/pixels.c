/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/pixels.h"

#include <glib.h>
#include <stddef.h>

#define OPAQUE 0xffu

/* So many bits from bit `shift` up. None: the channel that a format lacks. */
struct channel {
	unsigned int shift, bits;
};

struct layout {
	uint32_t bytes;
	struct channel red, green, blue, alpha;
};

/* Of a constant channel the compiler leaves two or three instructions. */
static inline G_ALWAYS_INLINE uint32_t channel_in_8_bits(uint32_t pixel, struct channel channel)
{
	if (channel.bits == 0) {
		return OPAQUE;
	}
	uint32_t value = pixel >> channel.shift & ((1u << channel.bits) - 1);
	if (channel.bits >= 8) {
		return value >> (channel.bits - 8);
	}
	value <<= 8 - channel.bits;
	for (unsigned int filled = channel.bits; filled < 8; filled *= 2) {
		value |= value >> filled;
	}
	return value;
}

static inline G_ALWAYS_INLINE uint32_t pixel_of(const void *from, size_t i, struct layout layout)
{
	uint32_t pixel =
		layout.bytes == 2 ? ((const uint16_t *)from)[i] : ((const uint32_t *)from)[i];

	return channel_in_8_bits(pixel, layout.alpha) << 24 |
	       channel_in_8_bits(pixel, layout.red) << 16 |
	       channel_in_8_bits(pixel, layout.green) << 8 | channel_in_8_bits(pixel, layout.blue);
}

/*
 * For each format the compiler makes a loop of its own. Eight at a time, so that
 * it has them in vectors without -O3, too.
 */
static inline G_ALWAYS_INLINE void convert(uint32_t *restrict to, const void *restrict from,
					   size_t n, struct layout layout)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		for (size_t k = 0; k < 8; k++) {
			to[i + k] = pixel_of(from, i + k, layout);
		}
	}
	for (; i < n; i++) {
		to[i] = pixel_of(from, i, layout);
	}
}

/* F(format, bytes, then shift and bits of red, green, blue, alpha) */
#define FORMATS(F)                                                                                 \
	F(PIXEL_ARGB8888, 4, { 16, 8 }, { 8, 8 }, { 0, 8 }, { 24, 8 })                             \
	F(PIXEL_XRGB8888, 4, { 16, 8 }, { 8, 8 }, { 0, 8 }, { 0, 0 })                              \
	F(PIXEL_ABGR8888, 4, { 0, 8 }, { 8, 8 }, { 16, 8 }, { 24, 8 })                             \
	F(PIXEL_XBGR8888, 4, { 0, 8 }, { 8, 8 }, { 16, 8 }, { 0, 0 })                              \
	F(PIXEL_RGBA8888, 4, { 24, 8 }, { 16, 8 }, { 8, 8 }, { 0, 8 })                             \
	F(PIXEL_RGBX8888, 4, { 24, 8 }, { 16, 8 }, { 8, 8 }, { 0, 0 })                             \
	F(PIXEL_BGRA8888, 4, { 8, 8 }, { 16, 8 }, { 24, 8 }, { 0, 8 })                             \
	F(PIXEL_BGRX8888, 4, { 8, 8 }, { 16, 8 }, { 24, 8 }, { 0, 0 })                             \
	F(PIXEL_ARGB2101010, 4, { 20, 10 }, { 10, 10 }, { 0, 10 }, { 30, 2 })                      \
	F(PIXEL_XRGB2101010, 4, { 20, 10 }, { 10, 10 }, { 0, 10 }, { 0, 0 })                       \
	F(PIXEL_ABGR2101010, 4, { 0, 10 }, { 10, 10 }, { 20, 10 }, { 30, 2 })                      \
	F(PIXEL_XBGR2101010, 4, { 0, 10 }, { 10, 10 }, { 20, 10 }, { 0, 0 })                       \
	F(PIXEL_ARGB1555, 2, { 10, 5 }, { 5, 5 }, { 0, 5 }, { 15, 1 })                             \
	F(PIXEL_XRGB1555, 2, { 10, 5 }, { 5, 5 }, { 0, 5 }, { 0, 0 })                              \
	F(PIXEL_ARGB4444, 2, { 8, 4 }, { 4, 4 }, { 0, 4 }, { 12, 4 })                              \
	F(PIXEL_XRGB4444, 2, { 8, 4 }, { 4, 4 }, { 0, 4 }, { 0, 0 })                               \
	F(PIXEL_RGB565, 2, { 11, 5 }, { 5, 6 }, { 0, 5 }, { 0, 0 })                                \
	F(PIXEL_BGR565, 2, { 0, 5 }, { 5, 6 }, { 11, 5 }, { 0, 0 })

uint32_t pixels_size(enum pixel_format format)
{
	switch (format) {
#define SIZE(format, bytes, ...)                                                                   \
	case format:                                                                               \
		return bytes;
		FORMATS(SIZE)
#undef SIZE
	case PIXEL_NONE:
	default:
		return 0;
	}
}

void pixels_convert_row(uint32_t *to, const void *from, enum pixel_format format, uint32_t n)
{
	switch (format) {
#define CONVERT(format, ...)                                                                       \
	case format:                                                                               \
		convert(to, from, n, (struct layout){ __VA_ARGS__ });                              \
		break;
		FORMATS(CONVERT)
#undef CONVERT
	case PIXEL_NONE:
	default:
		g_assert_not_reached();
	}
}
