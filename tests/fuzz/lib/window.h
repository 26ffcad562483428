/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A front-end for the device's fuzzer that maps and unmaps as it is asked, and
 * answers when, and what, the fuzzer says. It checks what it is asked: that
 * ranges are pages of the window, lie over no other, and are unmapped once, as
 * they were mapped.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "gpu/mapper.h"

#define WINDOW_BYTES (UINT64_C(32) << 12)

struct window_question {
	uint64_t token;
	bool is_map;
	/* Of the command that asked, for who answers; 0 and NULL at first. */
	uint32_t resource_id;
	uint64_t serial;
	void *call;
};

struct window {
	bool is_deaf;	   /* it can't be asked by a command */
	GArray *mapped;	   /* what there is when all that was asked is done */
	GArray *questions; /* of struct window_question, the oldest first */
};

extern const struct mapper window_mapper; /* its data is a struct window */

void window_init(struct window *window);
void window_finish(struct window *window);
/* Ended by the front-end itself, with all that it has not answered. */
void window_clear(struct window *window);
/* The oldest question, which there must be, is answered so. Returns it. */
struct window_question window_take_question(struct window *window, bool is_refused);
