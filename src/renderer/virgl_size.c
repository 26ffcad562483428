/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a texture or a buffer takes of the host's memory: the GL driver's
 * secret, so this is an estimate, made to be on the high side. It follows
 * llvmpipe, whose memory is the host's: levels are of whole rows of 64 bytes,
 * four at a time, and what the driver and the library keep beside the texels
 * was 1.6 to 2.9 KB. Formats count as four bytes a texel or as what is wider.
 *
 * A guest that looks for what is charged least finds small layers and thin
 * pictures: 1024 layers of one texel are 256 KiB, not 4.
 */
#include "renderer/virgl_internal.h"

#define OVERHEAD_BYTES 4096
/* From here on memory may come as pages, with up to one left over. */
#define MAPPED_BYTES (64 << 10)
#define PAGE_BYTES 4096
#define ROW_TEXELS 16 /* 64 bytes of the narrowest that is counted */
#define ROWS 4
#define NARROW_BYTES 4

enum {
	TARGET_BUFFER = 0,
	TARGET_3D = 3,
};

/* The library's format numbers, first to last, of more than four bytes a texel. */
static const struct {
	uint32_t first, last;
	uint32_t texel_bytes;
} wide_formats[] = {
	{ 29, 29, 8 },	  /* R32G32_FLOAT */
	{ 30, 31, 16 },	  /* R32G32B32_FLOAT, with A32 */
	{ 50, 51, 8 },	  /* R16G16B16_UNORM, with A16 */
	{ 58, 59, 8 },	  /* R16G16B16_SNORM, with A16 */
	{ 93, 94, 8 },	  /* R16G16B16_FLOAT, with A16 */
	{ 126, 126, 8 },  /* Z32_FLOAT_S8X24_UINT */
	{ 138, 138, 8 },  /* X32_S8X24_UINT */
	{ 161, 161, 8 },  /* L32A32_FLOAT */
	{ 187, 188, 8 },  /* R16G16B16_UINT, with A16 */
	{ 191, 192, 8 },  /* R16G16B16_SINT, with A16 */
	{ 194, 194, 8 },  /* R32G32_UINT */
	{ 195, 196, 16 }, /* R32G32B32_UINT, with A32 */
	{ 198, 198, 8 },  /* R32G32_SINT */
	{ 199, 200, 16 }, /* R32G32B32_SINT, with A32 */
	{ 220, 220, 8 },  /* L32A32_UINT */
	{ 224, 224, 8 },  /* L32A32_SINT */
	{ 234, 238, 8 },  /* R16G16B16X16, all kinds */
	{ 239, 241, 16 }, /* R32G32B32X32, all kinds */
	{ 246, 246, 8 },  /* R32A32_FLOAT */
	{ 251, 252, 8 },  /* R32A32_UINT, _SINT */
};

static uint32_t texel_bytes(uint32_t format)
{
	for (size_t i = 0; i < G_N_ELEMENTS(wide_formats); i++) {
		if (format >= wide_formats[i].first && format <= wide_formats[i].last) {
			return wide_formats[i].texel_bytes;
		}
	}
	return NARROW_BYTES;
}

static uint64_t with_overhead(uint64_t size_bytes)
{
	return size_bytes + OVERHEAD_BYTES + (size_bytes >= MAPPED_BYTES ? PAGE_BYTES : 0);
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static uint64_t at_level(uint32_t side, uint32_t level)
{
	return MAX(side >> level, 1);
}

/* Of 2^28 texels at most, each in a row and a layer of its own at worst: far from 64 bits. */
static uint64_t level_texels(const struct resource_desc *desc, uint32_t level)
{
	uint64_t depth =
		desc->target == TARGET_3D ? at_level(desc->depth, level) : MAX(desc->depth, 1);

	return round_up(at_level(desc->width, level), ROW_TEXELS) *
	       round_up(at_level(desc->height, level), ROWS) * depth * MAX(desc->array_size, 1) *
	       MAX(desc->nr_samples, 1);
}

uint64_t virgl_size_estimate(const struct resource_desc *desc)
{
	uint64_t n = 0;

	if (desc->target == TARGET_BUFFER) {
		return with_overhead(desc->width);
	}
	for (uint32_t level = 0; level <= desc->last_level; level++) {
		n += level_texels(desc, level);
	}
	return with_overhead(n * texel_bytes(desc->format));
}
