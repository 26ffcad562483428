/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The process that has the device and the renderer, and may die of it: its
 * whole life. One thread runs the device (gpu/worker.h); this one listens to
 * the keeper.
 */
#pragma once

#include "engine/link.h"
#include "options.h"

struct renderer_process_options {
	const struct options *options; /* borrowed */
	struct link_shared *shared;    /* borrowed */
	uint64_t quota_bytes;
	int busy_fd; /* socket, borrowed: a byte when the device gets busy and is not timed */
	const char *gpu_mode; /* static; maybe not the one in options */
	uint64_t window_bytes; /* the guest's host-visible window; 0: there is none */
};

/* Until the keeper hangs up or ends it. Returns the exit status. */
int renderer_process_run(const struct renderer_process_options *options, int consume_link_fd);
