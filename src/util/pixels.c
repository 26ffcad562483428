/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/pixels.h"

#include <stddef.h>

/* One image over another; both are a row. */
void pixels_convert_row(uint32_t *to, uint32_t *from, pixman_format_code_t from_format, uint32_t n)
{
	int stride = (int)(n * sizeof(uint32_t));
	pixman_image_t *source =
		pixman_image_create_bits_no_clear(from_format, (int)n, 1, from, stride);
	pixman_image_t *target =
		pixman_image_create_bits_no_clear(PIXMAN_a8r8g8b8, (int)n, 1, to, stride);

	pixman_image_composite32(PIXMAN_OP_SRC, source, NULL, target, 0, 0, 0, 0, 0, 0, (int)n, 1);
	pixman_image_unref(source);
	pixman_image_unref(target);
}
