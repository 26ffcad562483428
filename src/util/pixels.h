/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Pixels of a guest's formats into those that a frame has. */
#pragma once

#include <pixman.h>
#include <stdint.h>

/* n pixels of one row into a8r8g8b8, no blending. from is only read, and not to change meanwhile. */
void pixels_convert_row(uint32_t *to, uint32_t *from, pixman_format_code_t from_format, uint32_t n);
