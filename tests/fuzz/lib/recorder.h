/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A display for the device's fuzzer: shows nothing, checks what it is told,
 * and does as the fuzzer says about what a front-end is free to do.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "display/display.h"

struct recorder_question {
	uint64_t token;
	bool is_edid;
};

struct witness {
	struct display base;
	bool is_watched;
	bool is_busy;	   /* pictures have to wait */
	bool has_read;	   /* nobody reads the frames any more: reclaim() lets go of them */
	bool answers;	   /* there is somebody to ask */
	enum dmabuf_kinds dmabufs;
	GArray *questions; /* of struct recorder_question, not yet answered */
	GPtrArray *frames; /* owned references, held as a slow reader does */
	struct dmabuf *shown[DISPLAY_MAX_SCANOUTS]; /* owned references: what is read at any time */
};

struct witness *recorder_create(void); /* display_destroy() ends it */
/* Let go of what is held. */
void recorder_drop_frames(struct witness *recorder);
