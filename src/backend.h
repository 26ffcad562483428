/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One front-end and its device, from the first message to the hang-up. */
#pragma once

#include "options.h"
#include "renderer/renderer.h"
#include "util/lockdown.h"

/* Where who looks inside comes from: see desk_create(). Both -1: nobody does. */
struct backend_control {
	int channel_fd, door_fd; /* the backend's, whatever becomes of it */
	uint32_t vm;		 /* the number of this one */
};

/* Who is at the other end, by what the kernel knows; 0: it does not. */
int backend_front_end_pid(int fd);

/*
 * Serve consume_fd until it closes or SIGTERM or SIGINT comes (both must be
 * blocked). caps is what the probe found. Returns the exit status of the
 * process: 0 after a hang-up, a violation or a signal, 1 if the device failed.
 */
int backend_run(int consume_fd, const struct options *options, const struct renderer_caps *caps,
		const struct backend_control *consume_control);

/* Of the transport thread, beside its loop and socket. */
extern lockdown_names backend_calls;
