/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Serves front-ends, each in a process of its own: one after the other, and as
 * many at once as options->max_clients allows.
 */
#pragma once

#include "options.h"
#include "renderer/renderer.h"
#include "util/lockdown.h"

/*
 * consume_door_fd: the control socket, -1: there is none. Who asks there for a
 * VM is handed to the process that serves it.
 *
 * Accept on consume_fd until SIGTERM or SIGINT (both must be blocked). While
 * all places are taken further front-ends wait to be accepted. The end of one
 * process concerns no other; when this one is told to end, it ends all of them
 * first. Returns the exit status of the process; in a child that has served,
 * that of the child.
 */
int listener_run(int consume_fd, int consume_door_fd, const struct options *options,
		 const struct renderer_caps *caps);

/* Of the process that listens. */
extern lockdown_names listener_calls;
