/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * An EDID 1.4 base block (VESA E-EDID A2) for a display that nobody else
 * describes: headless, or a front-end without the EDID feature.
 */
#pragma once

#include <stdint.h>

#define EDID_BYTES 128

/* Width and height in pixels; beyond 4095, which EDID can't say, 4095 is said. */
void edid_generate(uint32_t width, uint32_t height, uint32_t scanout_id,
		   uint8_t edid_out[EDID_BYTES]);
