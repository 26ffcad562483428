/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Pixels of each format into a frame's, as pixman has them: it is what QEMU
 * puts pictures together with. It names bits of a native word, DRM those of a
 * little-endian one: the same here.
 */
#include <pixman.h>

#include "util/pixels.h"
#include "unit.h"

/* Each value of 16 bits, in rows that pixman has coordinates for and don't end with a vector. */
#define ROW 4111u
#define N_ROWS 16u
#define N_PIXELS (ROW * N_ROWS)

G_STATIC_ASSERT(N_PIXELS > UINT16_MAX);

static const struct format {
	const char *name;
	enum pixel_format format;
	pixman_format_code_t pixman;
} formats[] = {
	{ "argb8888", PIXEL_ARGB8888, PIXMAN_a8r8g8b8 },
	{ "xrgb8888", PIXEL_XRGB8888, PIXMAN_x8r8g8b8 },
	{ "abgr8888", PIXEL_ABGR8888, PIXMAN_a8b8g8r8 },
	{ "xbgr8888", PIXEL_XBGR8888, PIXMAN_x8b8g8r8 },
	{ "rgba8888", PIXEL_RGBA8888, PIXMAN_r8g8b8a8 },
	{ "rgbx8888", PIXEL_RGBX8888, PIXMAN_r8g8b8x8 },
	{ "bgra8888", PIXEL_BGRA8888, PIXMAN_b8g8r8a8 },
	{ "bgrx8888", PIXEL_BGRX8888, PIXMAN_b8g8r8x8 },
	{ "argb2101010", PIXEL_ARGB2101010, PIXMAN_a2r10g10b10 },
	{ "xrgb2101010", PIXEL_XRGB2101010, PIXMAN_x2r10g10b10 },
	{ "abgr2101010", PIXEL_ABGR2101010, PIXMAN_a2b10g10r10 },
	{ "xbgr2101010", PIXEL_XBGR2101010, PIXMAN_x2b10g10r10 },
	{ "argb1555", PIXEL_ARGB1555, PIXMAN_a1r5g5b5 },
	{ "xrgb1555", PIXEL_XRGB1555, PIXMAN_x1r5g5b5 },
	{ "argb4444", PIXEL_ARGB4444, PIXMAN_a4r4g4b4 },
	{ "xrgb4444", PIXEL_XRGB4444, PIXMAN_x4r4g4b4 },
	{ "rgb565", PIXEL_RGB565, PIXMAN_r5g6b5 },
	{ "bgr565", PIXEL_BGR565, PIXMAN_b5g6r5 },
};

static void fill(void *row, const struct format *format)
{
	for (uint32_t i = 0; i < N_PIXELS; i++) {
		if (pixels_size(format->format) == 2) {
			((uint16_t *)row)[i] = (uint16_t)i;
		} else {
			((uint32_t *)row)[i] = (uint32_t)g_test_rand_int();
		}
	}
}

static void convert_by_pixman(uint32_t *to, uint32_t *from, const struct format *format)
{
	pixman_image_t *source =
		pixman_image_create_bits_no_clear(format->pixman, (int)ROW, 1, from, (int)ROW * 4);
	pixman_image_t *target = pixman_image_create_bits_no_clear(PIXMAN_a8r8g8b8, (int)ROW, 1,
								   to, (int)ROW * 4);

	g_assert_nonnull(source);
	g_assert_nonnull(target);
	pixman_image_composite32(PIXMAN_OP_SRC, source, NULL, target, 0, 0, 0, 0, 0, 0, (int)ROW,
				 1);
	pixman_image_unref(source);
	pixman_image_unref(target);
}

static void test_as_pixman(gconstpointer data)
{
	const struct format *format = data;
	g_autofree uint32_t *from = g_new0(uint32_t, N_PIXELS);
	uint32_t to[ROW], row[ROW], wanted[ROW];

	fill(from, format);
	for (uint32_t y = 0; y < N_ROWS; y++) {
		/* Pixman wants rows to begin with a word. */
		memcpy(row, (const char *)from + y * ROW * pixels_size(format->format),
		       ROW * pixels_size(format->format));
		convert_by_pixman(wanted, row, format);
		pixels_convert_row(to, row, format->format, ROW);
		for (uint32_t i = 0; i < ROW; i++) {
			g_assert_cmphex(to[i], ==, wanted[i]);
		}
	}
}

/* Rows of any length, from any pixel on, and no pixel more than asked for. */
static void test_lengths(gconstpointer data)
{
	const struct format *format = data;
	g_autofree uint32_t *from = g_new0(uint32_t, N_PIXELS);
	g_autofree uint32_t *whole = g_new0(uint32_t, N_PIXELS);
	uint32_t to[64];

	fill(from, format);
	pixels_convert_row(whole, from, format->format, N_PIXELS);
	for (uint32_t first = 1; first < 9; first++) {
		const char *start = (const char *)from + first * pixels_size(format->format);

		for (uint32_t n = 0; n < G_N_ELEMENTS(to) - 1; n++) {
			memset(to, 0x5a, sizeof(to));
			pixels_convert_row(to, start, format->format, n);
			unit_assert_bytes(to, whole + first, n * sizeof(*to));
			g_assert_cmphex(to[n], ==, 0x5a5a5a5a);
		}
	}
}

static void test_sizes(void)
{
	g_assert_cmpuint(pixels_size(PIXEL_NONE), ==, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		g_assert_cmpuint(pixels_size(formats[i].format) * 8, ==,
				 PIXMAN_FORMAT_BPP(formats[i].pixman));
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		g_autofree char *as_pixman =
			g_strdup_printf("/pixels/as-pixman/%s", formats[i].name);
		g_autofree char *lengths = g_strdup_printf("/pixels/lengths/%s", formats[i].name);

		g_test_add_data_func(as_pixman, &formats[i], test_as_pixman);
		g_test_add_data_func(lengths, &formats[i], test_lengths);
	}
	g_test_add_func("/pixels/sizes", test_sizes);
	return g_test_run();
}
