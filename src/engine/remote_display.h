/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The display of a renderer process: its pictures go to the keeper, which has
 * the real one. Frames are not copied; the keeper reads them in the arena
 * (frame_share()), and a slot in the shared memory says when it is done.
 */
#pragma once

#include "display/display.h"
#include "engine/link.h"

/*
 * link_fd and shared are borrowed. listener's upcalls are made by who receives
 * the keeper's messages. Never fails.
 */
struct display *display_create_remote(int link_fd, struct link_shared *shared,
				      const struct display_listener *listener, void *data);

/*
 * Of a remote display: a picture that the keeper has asked for, and no display
 * is to show. frame (borrowed) NULL: there is none. On the device thread.
 */
void remote_display_give(struct display *d, uint32_t scanout_id, struct frame *frame,
			 const struct rect *view);
void remote_display_give_cursor(struct display *d, uint32_t scanout_id, const uint32_t *pixels);
