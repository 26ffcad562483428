/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gpu/edid.h"

#include <stdio.h>
#include <string.h>

#define MAX_SIDE 4095u
#define REFRESH_HZ 60u
#define DOTS_PER_INCH 96u
#define DESCRIPTOR_BYTES 18
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))

/* Pixel clock of a frame of so many pixels, blanking included. */
static uint64_t clock_10khz(uint32_t total_width, uint32_t total_height)
{
	return ((uint64_t)total_width * total_height * REFRESH_HZ + 5000) / 10000;
}

static uint8_t to_cm(uint32_t mm)
{
	return mm < 10 ? 1 : (uint8_t)((mm + 5) / 10);
}

/* A detailed timing of VESA E-EDID A2 §3.10.2, with blanking in the manner of CVT-RB. */
static void put_timing(uint8_t *at, uint32_t width, uint32_t height, uint32_t width_mm,
		       uint32_t height_mm)
{
	const uint32_t h_front = 48, h_sync = 32, v_front = 3, v_sync = 6;
	uint32_t h_blank = 160, v_blank = 35;

	/* Readers take less than 10 MHz for nonsense: small ones get more blanking. */
	while (h_blank < 4000 && clock_10khz(width + h_blank, height + v_blank) < 1000) {
		h_blank += 80;
	}
	while (v_blank < 4000 && clock_10khz(width + h_blank, height + v_blank) < 1000) {
		v_blank += 35;
	}
	/* The field's end, 655.35 MHz: a lower refresh rate. */
	uint64_t clock = MIN_OF(clock_10khz(width + h_blank, height + v_blank), 0xffff);

	at[0] = (uint8_t)clock;
	at[1] = (uint8_t)(clock >> 8);
	at[2] = (uint8_t)width;
	at[3] = (uint8_t)h_blank;
	at[4] = (uint8_t)(width >> 8 << 4 | h_blank >> 8);
	at[5] = (uint8_t)height;
	at[6] = (uint8_t)v_blank;
	at[7] = (uint8_t)(height >> 8 << 4 | v_blank >> 8);
	at[8] = (uint8_t)h_front;
	at[9] = (uint8_t)h_sync;
	at[10] = (uint8_t)((v_front & 0xf) << 4 | (v_sync & 0xf));
	at[11] = (uint8_t)(h_front >> 8 << 6 | h_sync >> 8 << 4 | v_front >> 4 << 2 | v_sync >> 4);
	at[12] = (uint8_t)width_mm;
	at[13] = (uint8_t)height_mm;
	at[14] = (uint8_t)(width_mm >> 8 << 4 | height_mm >> 8);
	at[17] = 0x1a; /* digital separate sync, horizontal positive */
}

static void put_text(uint8_t *at, uint8_t tag, const char *text)
{
	size_t n = strlen(text);

	at[3] = tag;
	for (size_t i = 0; i < 13; i++) {
		at[5 + i] = (uint8_t)(i < n ? text[i] : i == n ? '\n' : ' ');
	}
}

/* The largest range there is: it is a window, not a tube. */
static void put_range(uint8_t *at, uint32_t width, uint32_t height)
{
	uint32_t khz = (height + 35) * REFRESH_HZ / 1000 + 1;
	uint32_t mhz = (uint32_t)((uint64_t)(width + 160) * (height + 35) * REFRESH_HZ / 1000000);

	at[3] = 0xfd;
	at[5] = 1;   /* vertical Hz, least */
	at[6] = 125; /* most */
	at[7] = 1;   /* horizontal kHz, least */
	at[8] = (uint8_t)(khz > 255 ? 255 : khz < 160 ? 160 : khz);
	at[9] = (uint8_t)MIN_OF(mhz < 70 ? 7 : mhz / 10 + 1, 255); /* 10 MHz; the established need 65 */
	at[10] = 0x01; /* no more limits given */
	at[11] = '\n';
	memset(at + 12, ' ', 6);
}

void edid_generate(uint32_t width, uint32_t height, uint32_t scanout_id,
		   uint8_t edid_out[EDID_BYTES])
{
	static const uint8_t magic[] = { 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00 };
	/* The sRGB primaries and white point, as the standard packs them. */
	static const uint8_t chromaticity[] = { 0xee, 0x91, 0xa3, 0x54, 0x4c,
						0x99, 0x26, 0x0f, 0x50, 0x54 };
	uint8_t *edid = edid_out;
	uint8_t sum = 0;
	char serial[14];

	width = width > MAX_SIDE ? MAX_SIDE : width;
	height = height > MAX_SIDE ? MAX_SIDE : height;
	uint32_t width_mm = width * 254 / (DOTS_PER_INCH * 10);
	uint32_t height_mm = height * 254 / (DOTS_PER_INCH * 10);

	memset(edid, 0, EDID_BYTES);
	memcpy(edid, magic, sizeof(magic));
	edid[8] = ('V' - '@') << 2 | ('D' - '@') >> 3; /* manufacturer "VDG" */
	edid[9] = (uint8_t)(('D' - '@') << 5 | ('G' - '@'));
	edid[10] = 0x01; /* product */
	edid[12] = (uint8_t)(scanout_id + 1);
	edid[16] = 1;	       /* week */
	edid[17] = 2026 - 1990;
	edid[18] = 1; /* EDID 1.4 */
	edid[19] = 4;
	edid[20] = 0xa0; /* digital, 8 bits a colour, interface not said */
	edid[21] = to_cm(width_mm);
	edid[22] = to_cm(height_mm);
	edid[23] = 120;	 /* gamma 2.2 */
	edid[24] = 0x06; /* sRGB, first timing is the native one */
	memcpy(edid + 25, chromaticity, sizeof(chromaticity));
	edid[35] = 0x21; /* established: 640x480, 800x600 at 60 Hz */
	edid[36] = 0x08; /* 1024x768 at 60 Hz */
	memset(edid + 38, 0x01, 16); /* no standard timings */

	put_timing(edid + 54, width, height, width_mm, height_mm);
	put_range(edid + 54 + DESCRIPTOR_BYTES, width, height);
	put_text(edid + 54 + 2 * DESCRIPTOR_BYTES, 0xfc, "vhost-gpu");
	snprintf(serial, sizeof(serial), "%u", scanout_id + 1);
	put_text(edid + 54 + 3 * DESCRIPTOR_BYTES, 0xff, serial);

	for (size_t i = 0; i < EDID_BYTES - 1; i++) {
		sum = (uint8_t)(sum + edid[i]);
	}
	edid[EDID_BYTES - 1] = (uint8_t)(0x100 - sum);
}
