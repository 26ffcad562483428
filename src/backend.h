/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One front-end and its device, from the first message to the hang-up. */
#pragma once

#include "options.h"
#include "renderer/renderer.h"
#include "util/lockdown.h"

/*
 * Serve consume_fd until it closes or SIGTERM or SIGINT comes (both must be
 * blocked). caps is what the probe found. Returns the exit status of the
 * process: 0 after a hang-up, a violation or a signal, 1 if the device failed.
 */
int backend_run(int consume_fd, const struct options *options, const struct renderer_caps *caps);

/* Of the transport thread, beside its loop and socket. */
extern lockdown_names backend_calls;
