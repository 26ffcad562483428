/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A display that writes down what it is told. */
#pragma once

#include "display/display.h"

struct logbook {
	struct display base;
	GString *log;
	bool is_watched;
	bool is_busy;  /* pictures have to wait */
	bool takes_dmabufs;
	uint64_t dmabuf_id; /* of the last buffer */
	bool has_read; /* all of them: reclaim() lets go of the last */
	unsigned int n_reclaims;
	bool has_somebody_to_ask;
	uint64_t token;	     /* of the last question */
	struct frame *frame; /* owned reference: of the last picture */
	uint32_t cursor[DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE];
};

/* Watched, and never busy. Ended by display_destroy(). */
struct logbook *logbook_create(void);
