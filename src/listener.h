/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Serves front-ends one after the other, each in a process of its own. */
#pragma once

#include "options.h"
#include "renderer/renderer.h"

/*
 * Accept on consume_fd until SIGTERM or SIGINT (both must be blocked). While
 * one front-end is served the others wait to be accepted. Returns the exit
 * status of the process; in a child that has served, that of the child.
 */
int listener_run(int consume_fd, const struct options *options, const struct renderer_caps *caps);
