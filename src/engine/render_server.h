/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The program that renders beside a renderer's library: struct renderer_server. */
#pragma once

#include "options.h"

/*
 * Before the renderer is asked what it can: is there one for it? Fills
 * options->server_path.
 */
void render_server_find(struct options *options);
/* After that: without use for it none is started. */
void render_server_settle(struct options *options, const struct renderer_caps *caps);
/* In its process, with the socket: locked down, it becomes the program. Else the exit status. */
int render_server_run(const struct options *options, int fd);
