/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The display's buffers: maps them, and draws of them what it is told to. For display.c, on the
 * display's thread.
 */
#ifndef TESTS_LIB_DISPLAY_DMABUF_H
#define TESTS_LIB_DISPLAY_DMABUF_H

#include "display.h"

struct incoming_fds {
	unsigned int n; /* that came with a message */
	int last;	/* -1: none */
};

/* A rule was broken. */
void display_add_breach(struct display *display, const char *format, ...) G_GNUC_PRINTF(2, 3);

void display_take_dmabuf(struct display *display, const struct gpu_msg_dmabuf_scanout2 *message,
			 const struct incoming_fds *fds);
void display_draw_dmabuf(struct display *display, const struct gpu_msg_update *update);
void display_drop_dmabuf(struct display_surface *surface);

#endif
