/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Can this host render, and what? Asked before there is a socket. */
#pragma once

#include "options.h"
#include "renderer/renderer.h"

enum probe_result {
	PROBE_OK,	   /* *caps_out is written */
	PROBE_UNAVAILABLE, /* said why */
	PROBE_INTERRUPTED, /* SIGTERM or SIGINT came (both must be blocked) */
};

/*
 * Start the renderer and end it again; one that runs foreign code, in a child.
 * The library may take seconds, print, crash or hang: this process stays clean
 * and single-threaded, so that it can fork one process for each front-end.
 */
enum probe_result probe_run(const struct options *options, struct renderer_caps *caps_out);
